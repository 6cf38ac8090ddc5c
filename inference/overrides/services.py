"""Recording what was decided otherwise than a model said, and how many decisions there were at all."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from approvals.gate import checked_environment
from inference.overrides.models import SHORT, WORDS, DecisionTotal, Override
from ledger.actors import Actor
from ledger.canonical import canonical, sha256
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Model, Version
from registry.services.inputs import account_of, words

MOST = 500
MAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
# Text of a row, and how long it may be.
TEXTS = {"output": SHORT, "decision": SHORT, "words": WORDS, "reference": 80}
NOBODY = "Write what the model said and what was decided, never about whom."


@dataclass(frozen=True)
class Recorded:
    """How many rows were new, and how many were there already with the same reference and content."""

    recorded: int
    known: int
    batch: uuid.UUID


@governed(permission="registry.attach_evidence", event="override.recorded", on="model")
def record_overrides(*, by: Actor, model: Model, rows: Sequence[Mapping[str, Any]]) -> Done[Recorded]:
    """All of them or none, at most 500. A row whose reference is known is left as it is, if it says the same.

    Raises Refusal, with the row's place in the field's path: `no_rows`, `too_many_rows`, `text_missing`, `too_long`,
    `text_invalid`, `personal_data`, `unknown_environment`, `unknown_version`, `unknown_reason`, `not_yet`,
    `nothing_overridden` or `reference_taken`.
    """
    account, now, batch = account_of(by), database_time(), uuid.uuid4()
    if not rows:
        raise Refusal("no_rows", "There is no override in this. Send one row at least.", "rows")
    if len(rows) > MOST:
        raise Refusal("too_many_rows", f"At most {MOST} overrides fit at once. Send the rest after them.", "rows")
    versions = model.versions.in_bulk({row["version"] for row in rows if row.get("version") is not None})
    made = [
        Override(model=model, batch=batch, recorded_by=account, **checked(row, f"rows.{place}", versions, now))
        for place, row in enumerate(rows)
    ]
    there = {
        row.reference: row
        for row in Override.objects.filter(model=model, reference__in=[each.reference for each in made])
    }
    new = []
    for place, row in enumerate(made):
        known = there.setdefault(row.reference, row)
        if known.said() != row.said():
            sentence = f"An override with the reference {row.reference} says something else. Nothing here is changed."
            raise Refusal("reference_taken", sentence, f"rows.{place}.reference")
        if known is row:
            new.append(row)
    kept = Override.objects.bulk_create(new)
    facts = {
        "slug": model.slug, "recorded": len(kept), "known": len(made) - len(kept), "batch": str(batch),
        "sha256": digest_of_rows(kept),
    }  # fmt: skip
    return Done(Recorded(len(kept), len(made) - len(kept), batch), facts=facts)


def digest_of_rows(rows: Iterable[Override]) -> str:
    """Of what they say, RFC 8785 of each with a line feed behind it, by id."""
    ordered = sorted(rows, key=lambda each: each.pk)
    return sha256(b"".join(canonical({"id": str(each.pk), **each.said()}) + b"\n" for each in ordered))


def checked(row: Mapping[str, Any], place: str, versions: Mapping[int, Version], now: datetime) -> dict[str, Any]:
    """The values of a row."""
    try:
        checked_environment(row["environment"])
    except Refusal as refusal:
        raise Refusal(refusal.code, refusal.sentence, f"{place}.environment") from None
    if row.get("version") is not None and row["version"] not in versions:
        sentence = "This is no version of the model. Name one of its versions, or none."
        raise Refusal("unknown_version", sentence, f"{place}.version")
    if row["reason"] not in Override.Reason.values:
        raise Refusal("unknown_reason", f"Choose one of {', '.join(Override.Reason.values)}.", f"{place}.reason")
    if row["decided_at"] > now:
        raise Refusal("not_yet", "This is in the future. Say when it was decided.", f"{place}.decided_at")
    texts = {name: text_of(row[name], name, place, most) for name, most in TEXTS.items()}
    if texts["output"].casefold() == texts["decision"].casefold():
        sentence = "What was decided is what the model said, so nothing was overridden."
        raise Refusal("nothing_overridden", sentence, f"{place}.decision")
    return {
        **texts, "environment": row["environment"], "decided_at": row["decided_at"], "reason": row["reason"],
        "version": versions[row["version"]] if row.get("version") is not None else None,
    }  # fmt: skip


def text_of(said: str, name: str, place: str, most: int) -> str:
    try:
        text = words(said, name, most=most)
    except Refusal as refusal:
        more = f" {NOBODY}" if refusal.code == "too_long" else ""
        raise Refusal(refusal.code, refusal.sentence + more, f"{place}.{name}") from None
    if MAIL.search(text):
        raise Refusal("personal_data", f"This looks like a mail address. {NOBODY}", f"{place}.{name}")
    return text


@governed(permission="registry.attach_evidence", event="decision_total.recorded", on="model")
def record_total(*, by: Actor, model: Model, environment: str, month: date, decisions: int) -> Done[DecisionTotal]:
    """How many decisions there were in a month, so that overrides become a rate; a later word on it counts instead.

    Raises Refusal `unknown_environment`, `not_yet`, `no_decisions` or `too_few_decisions`.
    """
    account, first = account_of(by), month.replace(day=1)
    checked_environment(environment)
    if first > database_time().date():
        raise Refusal("not_yet", "This month has not begun. Choose one that has.", "month")
    if decisions < 1:
        raise Refusal("no_decisions", "A month without a decision has no rate. Leave it out.", "decisions")
    within = Override.objects.filter(model=model, environment=environment)
    overridden = within.filter(decided_at__year=first.year, decided_at__month=first.month).count()
    if decisions < overridden:
        sentence = f"{overridden:,} of that month were overridden, so there were as many decisions at least."
        raise Refusal("too_few_decisions", sentence, "decisions")
    row = DecisionTotal.objects.create(
        model=model, environment=environment, month=first, decisions=decisions, recorded_by=account
    )
    facts = {
        "slug": model.slug, "total": str(row.pk), "environment": environment, "month": first.isoformat(),
        "decisions": decisions,
    }  # fmt: skip
    return Done(row, facts=facts)
