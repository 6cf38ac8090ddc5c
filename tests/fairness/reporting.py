"""Worlds with reports in them: jobs done in this process, and a model that takes a while to explain."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from typing import Any

from tests import worlds

MANY = tuple(f"f{number}" for number in range(34))
MADE: dict[str, Any] = {}


def once(make: Callable[..., Any], version: Any, dataset: Any, **terms: Any) -> Any:
    """The report of these bytes on these terms: the same each time, and up to a second to compute."""
    from registry import storage

    terms["decision"] = version.decision_rule
    key = f"{make.__qualname__} {version.artifact.digest} {dataset.artifact.digest} {terms!r}"
    if key not in MADE:
        with storage.local(dataset.artifact) as data, storage.local(version.artifact) as model:
            MADE[key] = make(data, model=model, **terms)
    return MADE[key]


def done(job: Any) -> Any:
    """Do a report's job here and now; the job afterwards."""
    from fairness import services, tasks
    from jobs.models import Job

    task = {
        services.COMPUTE_BIAS: tasks.compute_bias_report,
        services.COMPUTE_EXPLANATION: tasks.compute_explanation_report,
        services.COMPUTE_COMPARISON: tasks.compute_comparison_report,
        services.COMPUTE_LL144: tasks.compute_ll144_audit,
        services.COMPUTE_TRADE_OFF: tasks.compute_trade_off_report,
    }[job.kind]
    task(job.pk)
    return Job.objects.get(pk=job.pk)


def a_slow_world(cast: Any) -> tuple[Any, Any]:
    """A version and a dataset with so many features that explaining them takes seconds: of labels no form is known."""
    dice = random.Random(3)  # noqa: S311
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["approved", "group", *MANY])
    for number in range(600):
        writer.writerow([number % 3 % 2, "ab"[number % 2], *(round(dice.gauss(0, 1), 3) for _ in MANY)])
    model = worlds.a_model(cast)
    upload = worlds.an_upload(cast, worlds.onnx_bytes(0.1, len(MANY)), "wide.onnx", team=model.team)
    from registry.services import register_version

    version = register_version(
        by=cast.developer, model=model, upload=upload, features=list(MANY),
        decision_rule={"kind": "label", "output": "label", "equals": 1},
        contributors=[cast.developer],
    )  # fmt: skip
    roles = {"approved": "label", "group": "sensitive"} | dict.fromkeys(MANY, "feature")
    return version, worlds.a_dataset(cast, data=out.getvalue().encode(), roles=roles)


def stored_report(cast: Any, version: Any, dataset: Any, source: Any = "model", **how: Any) -> Any:
    """Evidence with a report's real bytes, without a worker: for pages, within a test's transaction."""
    from fairness.bias import bias_report, canonical_bytes
    from fairness.computing import plain
    from fairness.services import BIAS, common_inputs, roles_of, title_of
    from registry import storage
    from registry.models import Evidence
    from registry.services import add_evidence

    roles = roles_of(version, dataset, None)
    report = once(bias_report, version, dataset, roles=roles, positive=dataset.positive_class, source=source, **how)
    inputs = common_inputs(version, dataset, roles)
    kept = storage.put([canonical_bytes(report)], limit=10**8)
    assert plain(kept.digest)
    return add_evidence(
        version, kind=BIAS, title=title_of(BIAS, source, dataset), stored=kept, filename=f"bias-{source}.json",
        media_type="application/json", provenance=Evidence.Provenance.COMPUTED, produced_by=cast.developer,
        dataset=dataset, summary={"source": source, "verdict": report["result"]["verdict"]} | inputs,
    )  # fmt: skip


def stored_explanation(cast: Any, version: Any, dataset: Any, rows: int = 60) -> Any:
    """Evidence with an explanation's real bytes and its rows, without a worker."""
    from fairness.bias import canonical_bytes
    from fairness.explain import explanation
    from fairness.explanation.reasons import dictionary_of
    from fairness.services import EXPLANATION, common_inputs, roles_of, title_of
    from registry import storage
    from registry.models import Evidence
    from registry.services import add_evidence
    from registry.services.uploads import artifact_of

    roles = roles_of(version, dataset, None)
    words = dictionary_of(version.card, version.features)
    made = once(explanation, version, dataset, roles=roles, rows=rows, background=40, dictionary=words)
    kept, of_rows = (storage.put([canonical_bytes(part)], limit=10**8) for part in (made.report, made.rows))
    artifact_of(of_rows)
    summary = common_inputs(version, dataset, roles) | {
        "source": "model", "verdict": "",
        "rows": {"digest": of_rows.digest, "size": of_rows.size, "count": len(made.rows["rows"])},
    }  # fmt: skip
    return add_evidence(
        version, kind=EXPLANATION, title=title_of(EXPLANATION, "model", dataset), stored=kept,
        filename="explanation.json", media_type="application/json", provenance=Evidence.Provenance.COMPUTED,
        produced_by=cast.developer, dataset=dataset, summary=summary,
    )  # fmt: skip


def stored_trade_off(cast: Any, version: Any, dataset: Any) -> Any:
    """A trade-off report's real bytes as evidence, without a worker; of few points, because each takes its time."""
    from fairness.bias import canonical_bytes
    from fairness.services import TRADE_OFF, roles_of, title_of
    from fairness.tradeoff.report import trade_off_report
    from registry import storage
    from registry.models import Evidence
    from registry.services import add_evidence

    roles = roles_of(version, dataset, None)
    report = once(trade_off_report, version, dataset, roles=roles, positive=dataset.positive_class, tolerances=(0.05,))
    kept = storage.put([canonical_bytes(report)], limit=10**8)
    return add_evidence(
        version, kind=TRADE_OFF, title=title_of(TRADE_OFF, "model", dataset), stored=kept, filename="trade-offs.json",
        media_type="application/json", provenance=Evidence.Provenance.COMPUTED, produced_by=cast.developer,
        dataset=dataset, summary={"source": "model", "verdict": "", "sentence": report["result"]["sentence"]},
    )  # fmt: skip


def a_self_test(cast: Any, version: Any, dataset: Any, *people: Any, source: str = "historical") -> Any:
    """A privileged self-test that the developer asked for, with its report, computed here without a worker's thread."""
    from fairness.computing import compute_bias
    from fairness.selftest.services import publish_self_test, request_self_test
    from fairness.services import WORKER
    from jobs.running import Pulse
    from jobs.services import claim

    test = request_self_test(
        by=cast.developer, version=version, dataset=dataset, source=source, people=[one.pk for one in people],
        reason="Counsel asked for it.",
    )  # fmt: skip
    held = claim(test.job_id)
    assert held is not None
    return publish_self_test(by=WORKER, test=test, computed=compute_bias(Pulse(held)), claim=held)
