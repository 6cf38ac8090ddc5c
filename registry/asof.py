"""Models and versions as they stood: the rows with what the record of a moment says of them, never to be saved."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import User
from audits import asof
from ledger.canonical import sha256
from registry.models import Evidence, Model, Text, Version

MODEL, VERSION = Model._meta.label_lower, Version._meta.label_lower
# What a record holds the digest of, the text being kept beside it.
TEXTS = ("purpose", "card", "notes")
GONE = "This text is not kept any more."
Record = Mapping[str, Any]


@dataclass(frozen=True)
class PastVersion:
    """A version with its card, notes and model as they stood, and who was named as a contributor.

    `intact` is whether the log agrees with the records of both, the version and its model.
    """

    version: Version
    contributors: list[User]
    intact: bool


def model_at(model: Model, at: datetime) -> tuple[Model, asof.Looked]:
    """The model with name, purpose, owner and risk tier of the moment. Raises Refusal `not_on_record`."""
    looked = asof.look(MODEL, model.pk, at)
    record = looked.kept.record
    return restored_model(model, record, people_of([record]), texts_of([record])), looked


def version_at(version: Version, at: datetime) -> tuple[PastVersion, asof.Looked]:
    """Raises Refusal `not_on_record` where the version was not there."""
    looked = asof.look(VERSION, version.pk, at)
    past = versions_at([version], at).get(version.pk)
    if past is None:
        raise asof.unrecorded(None)
    return past, looked


def versions_at(versions: Iterable[Version], at: datetime) -> dict[int, PastVersion]:
    """By id, those that were on record at the moment. Eight queries, however many versions."""
    rows = list(versions)
    kept = asof.kept_at(VERSION, {row.pk for row in rows}, at)
    of_models = asof.kept_at(MODEL, {row.model_id for row in rows}, at)
    records = [each.record for each in (*kept.values(), *of_models.values())]
    people, texts = people_of(records), texts_of(records)
    found = {}
    for row in rows:
        own, above = kept.get(str(row.pk)), of_models.get(str(row.model_id))
        if own and above:
            model = restored_model(row.model, above.record, people, texts)
            then, named = restored_version(row, model, own.record, people, texts)
            found[row.pk] = PastVersion(then, named, own.state == above.state == "verified")
    return found


def restored_model(model: Model, record: Record, people: Mapping[str, User], texts: Mapping[str, str]) -> Model:
    then = copy.copy(model)
    then.name, then.risk_tier, then.purpose = record["name"], record["risk_tier"], texts[record["purpose"]]
    then.owner = people.get(record["owner"], model.owner)
    then.risk_tier_set_by = people.get(record["risk_tier_set_by"] or "")
    return then


def restored_version(
    version: Version, model: Model, record: Record, people: Mapping[str, User], texts: Mapping[str, str]
) -> tuple[Version, list[User]]:
    then = copy.copy(version)
    then.model, then.card, then.notes = model, texts[record["card"]], texts[record["notes"]]
    then.card_recorded, then.upstream_recorded = record["card"], record.get("upstream")
    named = [people[each] for each in record["contributors"] if each in people]
    return then, sorted(named, key=lambda each: each.name)


def evidence_at(rows: Iterable[Evidence], at: datetime) -> list[Evidence]:
    """Of these what was there at the moment; what was withdrawn later stands, as it did."""
    found = []
    for row in rows:
        if row.created_at <= at:
            if row.withdrawn_at and row.withdrawn_at > at:
                row.withdrawn_at, row.withdrawn_reason = None, ""
            found.append(row)
    return found


def people_of(records: Iterable[Record]) -> dict[str, User]:
    """The accounts that records name, by opaque id, under the names that they have now."""
    wanted = {
        each
        for record in records
        for each in (record.get("owner"), record.get("risk_tier_set_by"), *record.get("contributors", ()))
        if each
    }
    return {str(user.opaque_id): user for user in User.objects.filter(opaque_id__in=wanted)}


def texts_of(records: Iterable[Record]) -> dict[str, str]:
    """The texts that records hold digests of, by digest; a remark for one that is gone or not what its digest says."""
    wanted = {record[name] for record in records for name in TEXTS if name in record}
    kept = {row.digest: row.text for row in Text.objects.filter(digest__in=wanted)} | {sha256(b""): ""}
    return {
        digest: kept[digest] if digest in kept and sha256(kept[digest].encode()) == digest else GONE
        for digest in wanted
    }
