"""How an endpoint is called: its address, and a request that can be copied."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from inference.gateway.tensors import tensor
from inference.models import Endpoint

# What stands for a value of each kind in an example.
EXAMPLES: dict[str, Any] = {"BOOL": True, "BYTES": "text", "FP16": 0.0, "FP32": 0.0, "FP64": 0.0}


def address_of(endpoint: Endpoint) -> str:
    return f"{settings.GATEWAY_URL}/v2/models/{endpoint.name}"


def body_of(endpoint: Endpoint) -> dict[str, Any]:
    """A request of one row, with zeros, in the shape that the bound version takes."""
    assert endpoint.version is not None
    inputs = []
    for one in map(tensor, endpoint.version.signature["inputs"]):
        shape = [1 if size < 1 else size for size in one.shape]
        count = 1
        for size in shape:
            count *= size
        data = [EXAMPLES.get(one.datatype, 0)] * count
        inputs.append({"name": one.name, "datatype": one.datatype, "shape": shape, "data": data})
    return {"inputs": inputs}


def command_of(endpoint: Endpoint) -> str:
    """A line for curl; the key comes from the variable KEY. Empty where no version is bound."""
    if endpoint.version is None:
        return ""
    quoted = json.dumps(body_of(endpoint)).replace("'", "'\\''")
    return (
        f"curl {address_of(endpoint)}/infer \\\n"
        '  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
        f"  -d '{quoted}'"
    )
