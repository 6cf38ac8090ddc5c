"""The parts of a validation report that the portal fills in, from one request's dossier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from approvals import workflow
from approvals.dossier import Dossier
from approvals.findings import listing, reading
from approvals.findings.models import Finding
from approvals.findings.showing import acceptance_rows, what
from approvals.frozen import as_item
from approvals.showing.manifests import approved_words, changes, rule_in_words, since_approved
from fairness import explaining, presenting
from fairness.reports import content_of
from fairness.services import BIAS, EXPLANATION, KIND_WORDS
from ledger.refusals import Refusal
from registry.models import Evidence
from registry.services.evidence import KINDS as DOCUMENTS

MOST = 12  # features of an explanation that are listed
Cells = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """Facts (pairs without a `head`), a table, or somebody else's words; with a title and a remark."""

    title: str
    note: str = ""
    head: Cells = ()
    rows: tuple[Cells, ...] = ()
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        rows = [list(row) for row in self.rows]
        return {"title": self.title, "note": self.note, "head": list(self.head), "rows": rows, "text": self.text}


def model(found: Dossier, at: datetime) -> Iterator[Part]:
    about = found.request.version.model
    tier = about.tier if about.risk_tier else f"{about.tier}, as nobody of the second line has set it"
    rows = (("Model", f"{about.name} ({about.slug})"), ("Purpose", about.purpose), ("Team", about.team.name),
            ("Owner", about.owner.name), ("Risk tier", tier))  # fmt: skip
    yield Part("The model", rows=rows)


def version(found: Dossier, at: datetime) -> Iterator[Part]:
    request, about = found.request, found.request.version
    bytes_of = "Bytes" if about.bytes_here else "Bytes not verified: pinned"
    made_by = sorted({each.name for each in (*about.contributors.all(), about.registered_by)})
    yield Part("The version and the request", rows=(
        ("Version", str(about.number)), (bytes_of, about.artifact.digest), ("Made by", ", ".join(made_by)),
        ("Environment", request.environment), ("Use", request.use), ("Policy", str(request.policy_version)),
        ("Manifest", f"revision {found.revision.number}, {found.revision.digest}"),
        ("Asked for by", request.submitted_by.name),
    ))  # fmt: skip


def decision_rule(found: Dossier, at: datetime) -> Iterator[Part]:
    about = found.request.version
    rows = [("Decision rule", rule_in_words(about.decision_rule))]
    if about.features:
        rows.append(("Features", ", ".join(about.features)))
    yield Part("How it decides", rows=tuple(rows))


def card(found: Dossier, at: datetime) -> Iterator[Part]:
    about = found.request.version
    yield Part("Model card", f"digest {about.card_digest}", text=about.card or "The card is empty.")


def datasets(found: Dossier, at: datetime) -> Iterator[Part]:
    rows = {each.dataset.pk: each.dataset for each in found.evidence if each.dataset is not None}
    if not rows:
        yield Part("Datasets", text="None of the evidence rests on a registered dataset.")
    for _, each in sorted(rows.items()):
        yield Part(each.name, f"digest {each.artifact.digest}", rows=(
            ("Purpose", each.get_purpose_display()), ("Rows", f"{each.rows:,}"), ("Outcome", ", ".join(each.labels)),
            ("Sensitive attributes", ", ".join(each.sensitive) or "none"), ("Where from", each.source),
            ("Lawful basis", each.lawful_basis or "not said"),
        ))  # fmt: skip


def origin(evidence: Evidence) -> str:
    """Provenance in words, with the digest."""
    made = f"{evidence.created_at:%-d %b %Y}"
    computed = evidence.provenance == Evidence.Provenance.COMPUTED
    said = f"computed here, asked for by {evidence.produced_by.name}" if computed else (
        f"submitted by {evidence.produced_by.name}"
    )  # fmt: skip
    withdrawn = ", withdrawn" if evidence.withdrawn_at else ""
    return f"{said}, {made}{withdrawn}, digest {evidence.artifact.digest}"


def bias_reports(found: Dossier, at: datetime) -> Iterator[Part]:
    yield from reports(found, BIAS, "Bias reports", bias_figures)


def explanation_reports(found: Dossier, at: datetime) -> Iterator[Part]:
    yield from reports(found, EXPLANATION, "Explanation reports", explanation_figures)


def reports(found: Dossier, kind: str, title: str, figures: Callable[[Any], tuple[Cells, list[Cells]]]
) -> Iterator[Part]:  # fmt: skip
    attached = [each for each in found.evidence if each.kind == kind]
    if not attached:
        yield Part(title, text="None is attached to this request.")
    for each in attached:
        item = as_item(each)
        verdict = f"Verdict: {workflow.verdict_words(item.verdict)}." if item.verdict else ""
        try:
            report = content_of(each)
            head, rows = figures(report)
            said = report["result"]["sentence"]
        except (Refusal, ValueError, KeyError, TypeError):
            # What cannot be read is said; a report that was computed here is never left out in silence.
            head, rows, said = (), [], f"Its figures cannot be read here. {item.says}".strip()
        yield Part(each.title, origin(each), head, tuple(rows), " ".join(filter(None, (verdict, said))))


def bias_figures(report: Any) -> tuple[Cells, list[Cells]]:
    compared = presenting.COMPARED[report["result"]["rule"]["comparison"]]
    rows: list[Cells] = [
        (row["group"], f"{row['size']:,}", figure(row["value"]), interval(row), workflow.verdict_words(row["verdict"]))
        for attribute in report["result"]["attributes"]
        for row in attribute["groups"]
    ]
    return ("Group", "Rows", compared, "Interval", "Verdict"), rows


def explanation_figures(report: Any) -> tuple[Cells, list[Cells]]:
    rows: list[Cells] = [
        (row["feature"], figure(row["importance"], 4), interval(row, 4), row["way"])
        for row in explaining.features(report)[:MOST]
    ]
    return ("Feature", "Mean absolute attribution", "Interval", "Which way"), rows


def figure(value: float | None, places: int = 3) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def interval(row: Any, places: int = 3) -> str:
    return "–" if row["low"] is None else f"{figure(row['low'], places)} to {figure(row['high'], places)}"


def documents(found: Dossier, at: datetime) -> Iterator[Part]:
    rows = [
        (each.title, DOCUMENTS.get(each.kind) or KIND_WORDS.get(each.kind, each.kind), origin(each))
        for each in found.evidence
        if each.kind not in (BIAS, EXPLANATION)
    ]
    if rows:
        yield Part("Documents", head=("Document", "Kind", "Where from"), rows=tuple(rows))


def findings(found: Dossier, at: datetime) -> Iterator[Part]:
    yield from judged(found, at, Finding.Kind.FINDING, "Findings", "Nobody has raised a finding about this version.")


def conditions(found: Dossier, at: datetime) -> Iterator[Part]:
    yield from judged(found, at, Finding.Kind.CONDITION, "Conditions", "")


def judged(found: Dossier, at: datetime, kind: str, title: str, none: str) -> Iterator[Part]:
    steps = reading.bearing(listing.of_version(found.request.version_id), found.request.pk)
    rows = [
        (
            str(each.finding_id), each.finding.title, each.severity or "condition",
            "overdue" if listing.late(each, at) else each.state, f"{each.due:%-d %b %Y}", each.owner.name,
        )
        for each in steps
        if each.finding.kind == kind
    ]  # fmt: skip
    head = ("No.", "Finding" if kind == Finding.Kind.FINDING else "Condition", "Severity", "State", "Due", "Owner")
    if rows:
        yield Part(title, head=head, rows=tuple(rows))
    elif none:
        yield Part(title, text=none)


def accepted_risks(found: Dossier, at: datetime) -> Iterator[Part]:
    request = found.request
    subject = {"environment": request.environment, "use": request.use}
    told = acceptance_rows(listing.acceptances_of(request.version_id).filter(**subject), at)
    rows = [
        (what(row["acceptance"]), row["acceptance"].reason, f"{row['acceptance'].until:%-d %b %Y}", row["state"],
         row["acceptance"].signer.name)
        for row in told
    ]  # fmt: skip
    if rows:
        yield Part("Accepted risks", head=("For", "Why", "Until", "State", "Accepted by"), rows=tuple(rows))


def changes_since(found: Dossier, at: datetime) -> Iterator[Part]:
    before = since_approved(found)
    if before is None:
        nothing = "No version of this model was approved for this environment and use before."
        yield Part("Since the last approval", text=nothing)
        return
    rows = [
        (each.name, "not there" if each.before is None else each.before,
         "taken out" if each.after is None else each.after)
        for each in changes(before, found.revision)
    ]  # fmt: skip
    said = "" if rows else "Nothing that is signed for has changed."
    head = ("Line", "Before", "Now") if rows else ()
    yield Part(f"Since {approved_words(before)}", head=head, rows=tuple(rows), text=said)


def validity(found: Dossier, at: datetime) -> Iterator[Part]:
    rows = [("An approval holds for", f"{found.policy.valid_days} days")]
    rows += [
        (rule.title, f"not older than {rule.max_age_days} days") for rule in found.policy.evidence if rule.max_age_days
    ]
    yield Part("What the policy asks for", rows=tuple(rows))


def open_points(found: Dossier, at: datetime) -> Iterator[Part]:
    standing = workflow.standing(found.case, at)
    # Not the signatures: they come while the report is written, and are no part of what it is about.
    weighed = standing.weighed
    points = [("In the way now", each.sentence) for each in (*weighed.gaps.values(), *weighed.reasons)]
    limits = workflow.limitations(found.policy, found.case.evidence)
    points += [("Known limitation", each.sentence) for each in limits]
    yield Part("What stands open", rows=tuple(points), text="" if points else "Nothing is in the way.")


Filler = Callable[[Dossier, datetime], Iterable[Part]]
FILLERS: dict[str, Filler] = {
    "model": model, "version": version, "decision_rule": decision_rule, "card": card, "datasets": datasets,
    "bias_reports": bias_reports, "explanation_reports": explanation_reports, "documents": documents,
    "findings": findings, "conditions": conditions, "accepted_risks": accepted_risks, "changes": changes_since,
    "validity": validity, "open_points": open_points,
}  # fmt: skip
