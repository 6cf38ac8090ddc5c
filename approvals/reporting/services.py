"""Writing a validation report, and attaching it to the version that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.conf import settings

from accounts.models import User
from approvals import dossier as records
from approvals.models import ReportDraft, ReviewRequest
from approvals.reporting.document import as_markdown, drafts_of, report_of
from approvals.reporting.template import template
from ledger.actors import Actor
from ledger.canonical import digest_of
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Denied, Refusal
from registry import storage
from registry.models import Evidence
from registry.services import add_evidence
from registry.services.evidence import facts_of

KIND = "validation_report"
LONGEST = 20_000


@governed(permission="approvals.raise_finding", event="validation_report.drafted", on="request")
def save_draft(*, by: Actor, request: ReviewRequest, number: int, texts: Mapping[str, str]) -> Done[ReportDraft]:
    """Keep what was written, over the draft `number` (0 for none); sections that `texts` leaves out stay as they are.

    Raises Refusal `humans_only`, `own_work`, `section_unknown`, `text_too_long`, `text_invalid`, `changed_meanwhile`
    or `nothing_changed`.
    """
    person = independent(by, records.open_dossier(request))
    said = {slug: checked(slug, text) for slug, text in texts.items()}
    drafts = drafts_of(request)
    last = drafts[-1] if drafts else None
    if number != (last.number if last else 0):
        raise Refusal("changed_meanwhile", meanwhile(drafts, number))
    before = last.texts if last else {}
    after = {slug: text for slug, text in {**before, **said}.items() if text}
    if after == before:
        raise Refusal("nothing_changed", "Nothing is different from the draft that is kept already.")
    draft = ReportDraft.objects.create(request=request, number=number + 1, texts=after, saved_by=person)
    facts = {"draft": draft.number, "sections": differing(before, after), "texts": digest_of(after)}
    return Done(draft, facts=facts)


@governed(permission="approvals.raise_finding", event="evidence.attached", on="request")
def attach_report(*, by: Actor, request: ReviewRequest, digest: str) -> Done[Evidence]:
    """Make the report as it stands evidence about the version; `digest` is that of what its author has read.

    All who saved a draft count as those who produced it. Raises Refusal `humans_only`, `own_work`, `draft_missing`,
    `changed_meanwhile`, `section_empty` or `evidence_exists`.
    """
    found = records.open_dossier(request)
    person = independent(by, found)
    if not person.has_perm("registry.attach_evidence", request):
        raise Denied("registry.attach_evidence")
    drafts, at = drafts_of(request), database_time()
    if not drafts:
        raise Refusal("draft_missing", "Nothing is written yet. Save a draft first.")
    report, version = report_of(found, drafts, at), request.version
    if digest != report.digest:
        sentence = "The report, or what it is filled from, has changed since you opened the page. Read it again."
        raise Refusal("changed_meanwhile", sentence)
    if report.empty:
        raise Refusal("section_empty", f"These sections need your words first: {', '.join(report.empty)}.")
    origin = {"request": str(request.pk), "draft": report.draft}
    if version.evidence.standing().filter(summary__contains=origin).exists():
        raise Refusal("evidence_exists", "This draft is attached already. Change it first, or withdraw what is there.")
    writers = ", ".join(report.writers)
    text = as_markdown(report, f"Written by {writers}; attached by {person.name} on {at:%-d %B %Y, %H:%M} UTC.")
    evidence = add_evidence(
        version, kind=KIND, title=f"{report.template.title}, request {request.pk}",
        stored=storage.put([text.encode()], limit=settings.MAX_UPLOAD_BYTES),
        filename=f"validation-report-request-{request.pk}.md", media_type="text/markdown",
        provenance=Evidence.Provenance.SUBMITTED, produced_by=person,
        summary={
            **origin, "template": report.template.id, "artifact": version.artifact.digest,
            "decision_rule": version.decision_rule,
            "authors": sorted({str(each.saved_by.opaque_id) for each in drafts} | {str(person.opaque_id)}),
        },
    )  # fmt: skip
    return Done(evidence, on=evidence, facts=facts_of(evidence), discloses={"title": evidence.title})


def independent(by: Actor, found: records.Dossier) -> User:
    """Raises Refusal `humans_only`, or `own_work` for somebody who would validate what they made themselves."""
    if not isinstance(by, User) or not by.is_person:
        raise Refusal("humans_only", "Only a person writes a validation report.")
    people = found.case.people
    hands = {*people.submitter, *people.contributors, str(found.request.version.model.owner.opaque_id)}
    if str(by.opaque_id) in hands:
        raise Refusal("own_work", "You had a hand in this version. Somebody else has to validate it.")
    return by


def checked(slug: str, text: str) -> str:
    """What was written in a section, without blanks around it."""
    titles = {each.slug: each.title for each in template().written}
    field = f"texts.{slug}"
    if slug not in titles:
        raise Refusal("section_unknown", f"There is nothing to write under this name. Use {', '.join(titles)}.", field)
    plain = text.replace("\r\n", "\n").strip()
    if len(plain) > LONGEST:
        sentence = f"“{titles[slug]}” has {len(plain):,} characters; at most {LONGEST:,} fit. Shorten it."
        raise Refusal("text_too_long", sentence, field)
    if any(ord(character) < 32 and character not in "\n\t" for character in plain):
        raise Refusal("text_invalid", f"“{titles[slug]}” holds control characters. Type it anew.", field)
    return plain


def differing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Slugs of the sections in which two drafts differ, in the template's order."""
    return [each.slug for each in template().written if before.get(each.slug, "") != after.get(each.slug, "")]


def texts_at(drafts: Iterable[ReportDraft], number: int) -> dict[str, str]:
    """The words of one draft; none for a number that there is not."""
    found: dict[str, str] = next((each.texts for each in drafts if each.number == number), {})
    return found


def meanwhile(drafts: list[ReportDraft], number: int) -> str:
    """What changed since the draft on which somebody built, and by whom."""
    if not drafts:
        return "There is no such draft. Look at the report again, and build on what is there."
    titles = {each.slug: each.title for each in template().written}
    names = ", ".join(sorted({each.saved_by.name for each in drafts if each.number > number}))
    changed = [titles[slug] for slug in differing(texts_at(drafts, number), drafts[-1].texts)]
    what = f"changed: {', '.join(changed)}" if changed else "changed nothing in the end"
    return f"{names or drafts[-1].saved_by.name} saved the report meanwhile and {what}. Read it, then save again."
