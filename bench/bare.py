"""The baseline of `bench.gateway`: what one would write in FastAPI to serve the same model, with no control at all."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI
from pydantic import BaseModel

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
app = FastAPI()


class Tensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class Infer(BaseModel):
    inputs: list[Tensor]


@app.post("/infer")
async def infer(asked: Infer) -> dict[str, Any]:
    feed = {one.name: np.array(one.data, dtype=np.float32).reshape(one.shape) for one in asked.inputs}
    found = session.run(None, feed)
    return {
        "outputs": [
            {"name": name, "shape": list(values.shape), "data": values.reshape(-1).tolist()}
            for name, values in zip(names, found, strict=True)
        ]
    }
