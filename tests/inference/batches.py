"""Batches for tests: run in this process, or stored as a worker would leave them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from tests import worlds
from tests.approvals.world import an_approval
from tests.inference.world import an_endpoint


def an_approved_endpoint(cast: Any) -> Any:
    """Bound to a version that may serve there; `endpoint.request` is what was approved."""
    request = an_approval(cast)
    endpoint = an_endpoint(cast, request.version)
    endpoint.request = request
    return endpoint


def a_stored_batch(cast: Any, endpoint: Any, dataset: Any) -> tuple[Any, Any]:
    """A batch with a result of two rows that no model made, and a schedule."""
    import pyarrow as pa

    from inference.batch import services
    from inference.batch.asking import Terms
    from inference.batch.parts import keep_part
    from inference.batch.scheduling import add_schedule
    from jobs.services import claim

    batch = services.request_batch(by=cast.model_owner, endpoint=endpoint, dataset=dataset)
    held = claim(batch.job_id)
    assert held is not None
    file, digest = keep_part(pa.table({"row": [1, 2], "decision": [True, False]}), f"{batch.pk}-1")
    inputs = held.job.inputs
    terms = Terms(inputs["model_digest"], inputs["decision_rule"], inputs["revision"])
    scored = services.Scored(batch, terms, 2, 1, file, digest, 700)
    batch = services.publish_batch(by=services.WORKER, batch=batch, scored=scored, claim=held)
    schedule = add_schedule(by=cast.model_owner, endpoint=endpoint, dataset=dataset, cron="0 4 * * *")
    batch.refresh_from_db()
    return batch, schedule


def attempt(batch: Any, at: Any = None) -> Any:
    """One attempt at a batch, here and now: claimed, scored, and published or stopped. `at(percent, phase)` is called
    where a worker says how far it is, and may raise.
    """
    from inference.batch import tasks
    from inference.batch.scoring import score
    from inference.models import Batch
    from jobs.services import claim

    held = claim(batch.job_id)
    assert held is not None
    fresh = Batch.objects.with_parts().get(pk=batch.pk)
    tasks.publish(held, score(fresh, held, at or (lambda percent, phase: None)))
    return Batch.objects.with_parts().get(pk=batch.pk)


def result_of(file: bytes) -> dict[str, list[Any]]:
    """Columns of a result."""
    import pyarrow.parquet as pq

    found: dict[str, list[Any]] = pq.read_table(io.BytesIO(file)).to_pydict()
    return found


def expected(rows: list[list[float]]) -> tuple[list[int], list[float], list[bool]]:
    """Labels, probabilities of class 1 and decisions: what ONNX Runtime says itself, and the signed rule by hand."""
    import onnxruntime as ort

    session = ort.InferenceSession(worlds.onnx_bytes(), providers=["CPUExecutionProvider"])
    labels, table = session.run(None, {"X": np.array(rows, dtype=np.float32)})
    return labels.tolist(), table[:, 1].tolist(), [bool(row[1] >= 0.5) for row in table]


def stored() -> set[str]:
    """Names of the files of batches, and what stands aside."""
    from django.core.files.storage import default_storage

    from audits.exports import keeping
    from inference.batch import services

    names: set[str] = set()
    for folder in (services.FOLDER, f"{keeping.FOLDER}/{keeping.ASIDE}"):
        if default_storage.exists(folder):
            folders, files = default_storage.listdir(folder)
            names |= {f"{folder}/{name}" for name in (*folders, *files)}
    return names
