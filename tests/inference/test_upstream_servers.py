"""Model servers that nobody here wrote, each in an environment of its own, as upstreams of an endpoint."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import venv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.gateway.dialects import Target
from inference.gateway.tensors import Tensor
from portal.supervisor.spawn import spawn
from tests.inference.elsewhere import World, ask
from tests.inference.gateway import ROWS, Inside, body, code, expected, until

# What `tests.worlds.onnx_bytes` computes, as each server's users would write it.
MLSERVER = """
import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse

class Loans(MLModel):
    async def predict(self, payload):
        yes = 1 / (1 + np.exp(-2 * NumpyCodec.decode_input(payload.inputs[0]).sum(axis=1)))
        found = {"label": (yes >= 0.5).astype("int64"), "probabilities": np.stack([1 - yes, yes], 1).astype("float32")}
        outputs = [NumpyCodec.encode_output(name, values) for name, values in found.items()]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)
"""
MLFLOW = """
import mlflow.pyfunc, numpy as np, pandas as pd

class Loans(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        yes = 1 / (1 + np.exp(-2 * (model_input["income"] + model_input["debt"])))
        return pd.DataFrame({"label": (yes >= 0.5).astype("int64"), "probabilities": [[1 - one, one] for one in yes]})

mlflow.pyfunc.save_model("model", python_model=Loans(), pip_requirements=[])
"""


@pytest.fixture
def environment(tmp_path: Path) -> Any:
    """Installs packages and runs programs of them; gives what `run` and `serve` need."""
    return Environment(tmp_path)


class Environment:
    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, folder / "venv" / "bin"
        self.told = {"PATH": f"{self.programs}:{os.defpath}", "HOME": str(folder), "PYTHONUNBUFFERED": "1"}

    def install(self, *packages: str) -> None:
        venv.create(self.folder / "venv", with_pip=True)
        # pip reads its own settings from the environment, so it gets all of it.
        self.run("-m", "pip", "install", "--quiet", *packages, env=None, seconds=500)

    def run(self, *arguments: str, env: Any = ..., seconds: float = 120) -> None:
        told = self.told if env is ... else env
        process = spawn([str(self.programs / "python"), *arguments], cwd=self.folder, env=told, show=True)
        assert process.wait(seconds) == 0

    @contextlib.contextmanager
    def serving(self, *command: str, health: str) -> Iterator[None]:
        program = [str(self.programs / command[0]), *command[1:]]
        process = spawn(program, cwd=self.folder, env=self.told, death_signal=signal.SIGKILL, show=True)
        try:
            until(lambda: answers(health), 90)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


def ports(count: int) -> list[int]:
    """Free ones, all different."""
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in listeners:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in listeners]


@contextlib.contextmanager
def gateway(settings: Any, outputs: Any = None) -> Iterator[Any]:
    """Asks one question of three rows through a gateway whose endpoint has the target given."""
    settings.UPSTREAM_INTERNAL_HOSTS = ["127.0.0.1"]
    world, inside = World(settings.KEY_PEPPER), Inside()
    world.served = replace(world.served, outputs=outputs or world.served.outputs)

    def question(kind: str, url: str, **how: str) -> httpx.Response:
        world.put(inside, Target(endpoint=1, kind=kind, url=url, seconds=20.0, **how))  # type: ignore[arg-type]
        return ask(inside, world, body())[0]

    yield question
    inside.close()


def same(answer: httpx.Response) -> None:
    assert answer.status_code == 200, answer.text
    labels, table, decisions = expected(ROWS)
    found = {one["name"]: one["data"] for one in answer.json()["outputs"]}
    assert (found["label"], found["decision"]) == (labels, decisions)
    assert found["probabilities"] == pytest.approx(table, abs=1e-6)


@pytest.mark.long  # 320 MB of other people's packages
def test_mlserver(settings, environment):
    environment.install("mlserver==1.7.1")
    http, grpc, metrics = ports(3)
    (environment.folder / "served.py").write_text(MLSERVER)
    (environment.folder / "settings.json").write_text(json.dumps({
        "host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "parallel_workers": 0,
    }))  # fmt: skip
    (environment.folder / "model-settings.json").write_text(json.dumps({
        "name": "loans", "implementation": "served.Loans", "parameters": {"version": "score-7"},
    }))  # fmt: skip
    # It writes a list of values as a column.
    outputs = (Tensor("label", "INT64", (-1, 1)), Tensor("probabilities", "FP32", (-1, 2)))
    place = f"http://127.0.0.1:{http}"
    with (
        environment.serving("mlserver", "start", ".", health=f"{place}/v2/models/loans/ready"),
        gateway(settings, outputs) as question,
    ):
        told = {"version_at": "model_version", "expected": "score-7"}
        same(question("http-oip", f"{place}/v2/models/loans/infer", **told))
        same(question("http-oip", f"{place}/v2/models/loans/versions/score-7/infer", **told))
        other = question("http-oip", f"{place}/v2/models/loans/infer", **told | {"expected": "score-8"})
        assert code(other, 502) == "upstream_differs"
        assert code(question("http-oip", f"{place}/v2/models/else/infer"), 502) == "upstream_failed"


@pytest.mark.long  # 250 MB of other people's packages
def test_mlflow(settings, environment):
    environment.install("mlflow-skinny==3.17.2", "numpy==2.4.6", "pandas==3.1.1")
    environment.run("-c", MLFLOW)
    (port,) = ports(1)
    place = f"http://127.0.0.1:{port}"
    served = ("mlflow", "models", "serve", "-m", "model", "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port))
    with environment.serving(*served, health=f"{place}/ping"), gateway(settings) as question:
        same(question("mlflow", f"{place}/invocations"))
        same(question("http-json", f"{place}/invocations", rows_at="dataframe_records", row_form="records",
                      predictions_at="predictions"))  # fmt: skip
        assert code(question("mlflow", f"{place}/else"), 502) == "upstream_failed"
