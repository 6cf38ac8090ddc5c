"""The example on an endpoint's page is one that the gateway takes."""

from __future__ import annotations

import json
import shlex

import pytest

from inference.calling import command_of
from inference.gateway.tensors import read, tensor
from inference.models import Endpoint
from registry.models import Version


def an_endpoint(*inputs):
    version = Version(signature={"inputs": list(inputs), "outputs": []})
    return Endpoint(name="desk", version=version)


@pytest.mark.parametrize(
    "inputs",
    [
        [{"name": "X", "type": "tensor(float)", "shape": [None, 3]}],
        [{"name": "X", "type": "tensor(double)", "shape": ["batch", 2]}],
        [
            {"name": "age", "type": "tensor(int64)", "shape": [None, 1]},
            {"name": "job's name", "type": "tensor(string)", "shape": [None, 1]},
            {"name": "owns", "type": "tensor(bool)", "shape": [None]},
        ],
    ],
)
def test_the_copied_command_has_a_body_that_the_gateway_reads(settings, inputs):
    settings.GATEWAY_URL = "https://serve.example.org"
    words = shlex.split(command_of(an_endpoint(*inputs)).replace("\\\n", " "))
    assert words[:2] == ["curl", "https://serve.example.org/v2/models/desk/infer"]
    assert words[2:6] == ["-H", "Authorization: Bearer $KEY", "-H", "Content-Type: application/json"]
    asked = read(words[-1].encode(), [tensor(one) for one in inputs], frozenset(), 10)
    assert asked.rows == 1
    assert set(asked.feed) == {one["name"] for one in inputs}
    assert json.loads(words[-1])["inputs"][0]["name"] == inputs[0]["name"]


def test_without_a_version_there_is_no_command():
    assert command_of(Endpoint(name="desk")) == ""
