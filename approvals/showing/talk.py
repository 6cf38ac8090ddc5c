"""A request's conversation: what a comment can be about, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from approvals.dossier import Dossier
from approvals.findings import listing, reading
from approvals.findings.models import Finding
from approvals.models import Comment, ReviewRequest
from approvals.showing.manifests import Shown, manifest_lines
from approvals.workflow import mentions as rules
from ledger.refusals import Refusal

# Lines of the manifest that have a part of their own on the page.
ELSEWHERE = ("evidence ", "finding ", "condition ")
KINDS = {"evidence": "Evidence", "requirement": "Requirements", "finding": "Findings", "line": "Lines of the manifest"}


def parts_of(found: Dossier, findings: Iterable[Finding], lines: Iterable[Shown]) -> dict[str, str]:
    """The parts of a request's page that a comment can be about, by the end of their address, each in words."""
    told = {f"evidence-{each.pk}": each.title for each in found.evidence}
    told |= {f"requirement-{each.slug}": each.title for each in found.policy.requirements}
    told |= {f"finding-{each.pk}": f"{each.get_kind_display()} {each.pk}: {each.title}" for each in findings}
    return told | {each.anchor: each.name.capitalize() for each in lines}


def lines_of(found: Dossier) -> list[Shown]:
    """The lines of the manifest, without those that stand elsewhere on the page."""
    shown = manifest_lines(found.revision.manifest)
    return [each for each in shown if not each.name.startswith(ELSEWHERE)]


def checked_part(found: Dossier, about: str) -> str:
    """Raises Refusal `part_unknown`."""
    steps = reading.bearing(listing.of_version(found.request.version_id), found.request.pk)
    if about and about not in parts_of(found, [each.finding for each in steps], lines_of(found)):
        sentence = "This request's page has no such part. Choose from the list, or leave it out."
        raise Refusal("part_unknown", sentence, "about")
    return about


def grouped(parts: Mapping[str, str]) -> list[Any]:
    """Choices for a form, by the kind of part."""
    groups = [
        (title, [(key, label) for key, label in parts.items() if key.startswith(f"{kind}-")])
        for kind, title in KINDS.items()
    ]
    return [("", "the request as a whole"), *(group for group in groups if group[1])]


def shown(comment: Comment, parts: Mapping[str, str]) -> dict[str, Any]:
    """A comment for the page: paragraphs cut where they mention somebody, who else is told, and what it is about."""
    people = comment.mentioned.all()
    names = [each.name for each in people]
    paragraphs = [rules.pieces(part, names) for part in re.split(r"\n\s*\n", comment.text) if part.strip()]
    said = {name for pieces in paragraphs for _, name in pieces}
    return {
        "id": f"comment-{comment.pk}", "who": comment.author, "at": comment.at, "text": comment.text,
        "paragraphs": paragraphs, "also": [name for name in names if name not in said],
        "part": parts.get(comment.about) or comment.about.replace("-", " "),
        "url": f"#part-{comment.about}" if comment.about in parts else "",
    }  # fmt: skip


def comments_of(
    request: ReviewRequest, parts: Mapping[str, str], until: datetime | None = None
) -> list[dict[str, Any]]:
    """Three queries, however many there are."""
    rows = request.comments.select_related("author").prefetch_related("mentioned")
    return [shown(each, parts) for each in (rows if until is None else rows.filter(at__lte=until))]
