"""A report as a PDF: the parts of its page as blocks, then where everything comes from and how to check it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from audits import typesetting
from fairness.ll144.paper import summary
from fairness.papers.bias import bias
from fairness.papers.blocks import Block, bullets, count, facts, heading
from fairness.papers.comparison import comparison
from fairness.papers.explanation import explanation
from fairness.papers.tradeoff import tradeoff
from fairness.reports import Shown
from fairness.selftest.models import SelfTest
from fairness.services import BIAS, COMPARISON, EXPLANATION, LL144, TRADE_OFF

TEMPLATE = Path(__file__).parent / "report.typ"
PRIVILEGED = (
    "Privileged self-test (12 CFR 1002.15): for the people named on it only. It is no evidence for a request, and is "
    "left out of evidence packs."
)
BODIES = {BIAS: bias, EXPLANATION: explanation, COMPARISON: comparison, TRADE_OFF: tradeoff}


def paper(evidence: Shown, parts: Mapping[str, Any], lead: str) -> bytes:
    """PDF bytes, the same for the same report. `parts` are those of its page, with the report itself as `report`."""
    if evidence.kind == LL144 and evidence.artifact is not None:
        return summary(
            parts["report"], title="Bias audit: summary of results", subject=str(evidence.version),
            dataset=str(evidence.dataset), digest=evidence.artifact.digest,
        )  # fmt: skip
    return typesetting.typeset(TEMPLATE, told(evidence, parts, lead))


def told(evidence: Shown, parts: Mapping[str, Any], lead: str) -> dict[str, Any]:
    """What the template prints."""
    body, artifact = BODIES[evidence.kind], evidence.artifact
    assert artifact is not None, "it was computed"
    return {
        "made": f"Computed by Countersign on {at(evidence)}, {called(evidence)}", "title": evidence.title,
        "subject": str(evidence.version), "lead": lead, "digest": artifact.digest,
        "notes": [
            *([PRIVILEGED] if isinstance(evidence, SelfTest) else []),
            *(["This report was withdrawn. It no longer counts."] if evidence.withdrawn_at else []),
            *([parts["report"]["withheld"]["sentence"]] if parts["report"].get("withheld") else []),
        ],
        "blocks": [*body(parts), *provenance(evidence, parts, artifact.digest), *checking(evidence)],
    }  # fmt: skip


def provenance(evidence: Shown, parts: Mapping[str, Any], digest: str) -> Iterator[Block]:
    report = parts["report"]
    found, version, dataset = report["provenance"], evidence.version, evidence.dataset
    assert dataset is not None, "reports are computed from a dataset"
    roles, job = found["parameters"]["roles"], evidence.summary.get("job")
    libraries = [f"{name} {number}" for name, number in found["libraries"].items()]
    positive = f", positive class {report['positive']}" if report.get("positive") else ""
    yield heading("Where it comes from")
    yield facts([
        ("Calculated by", f"Countersign, on {at(evidence)}{f', in job {job}' * bool(job)}"),
        ("Asked for by", evidence.produced_by.name if evidence.produced_by else "the system"),
        ("Version", str(version)),
        ("Bytes of the model", version.artifact.digest),
        ("Compared with", report.get("old", "")),
        ("Bytes of that", f"sha256:{found['inputs']['old']}" if found["inputs"].get("old") else ""),
        ("Dataset", f"{dataset}, {count(found['rows'])} rows"),
        ("Bytes of the data" if dataset.rows_here else "Digest of where it is", dataset.artifact.digest),
        *rows_elsewhere(found.get("connection")),
        ("Data supplied by", dataset.source),
        ("Decisions", parts["decision_words"]),
        ("Outcome", f"“{roles['label']}”{positive}"),
        ("Sensitive attributes", ", ".join(roles["sensitive"])),
        ("Features", ", ".join(roles["features"]) if found["inputs"].get("model") else ""),
        ("Weights", roles.get("weight") or ""),
        ("Seed", f"sha256:{found['seed']}"),
        ("Software", ", ".join([f"Countersign {found['revision']}".strip(), *libraries])),
        ("This report", digest),
        ("Its outline", parts["outline"]),
    ])  # fmt: skip


def rows_elsewhere(there: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Where the rows stayed, and by what they can be known again."""
    if there is None:
        return []
    state = f", state “{there['snapshot']}”" if there["snapshot"] else ""
    known = there["rows_hash"] if there["reproducible"] else "not reproducible"
    return [("Rows stayed in", f"{there['place']}{state}"), ("Hash of the rows", known)]


def at(evidence: Shown) -> str:
    return f"{evidence.created_at.astimezone(UTC):%-d %B %Y, %H:%M} UTC"


def called(evidence: Shown) -> str:
    return f"{'privileged self-test' if isinstance(evidence, SelfTest) else 'evidence'} {evidence.pk}"


def checking(evidence: Shown) -> Iterator[Block]:
    yield heading("How to check it")
    yield bullets([
        "This document says in words and tables what the report's JSON holds. Signatures bind the digest of that JSON, "
        "which stands at the foot of every page: it is the SHA-256 of the file, as sha256sum prints it.",
        "The same inputs give the same bytes: the report computed again from the data, the model and the parameters "
        "named above has the same digest. There is no clock in it, and its seed is the hash of its inputs.",
        "On another kind of processor the last digits of computed figures may differ. The outline, named above, is the "
        "report without them: inputs, seed, counts, verdicts and words, which may not. python3 fairness/matching.py "
        "tells both digests of a report, and whether two are the same but for last digits.",
        f"In the portal it is {called(evidence)} about {evidence.version}; the log tells who had it computed and "
        "who took copies of it.",
    ])  # fmt: skip
