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

GONE = "This text is not kept any more."


@dataclass(frozen=True)
class PastVersion:
    """A version with its card, notes and model as they stood, and who was named as a contributor."""

    version: Version
    contributors: list[User]
    looked: asof.Looked


def model_at(model: Model, at: datetime) -> tuple[Model, asof.Looked]:
    """The model with name, purpose, owner and risk tier of the moment. Raises Refusal `not_on_record`."""
    looked = asof.look(Model._meta.label_lower, model.pk, at)
    return restored_model(model, looked.kept.record), looked


def version_at(version: Version, at: datetime) -> PastVersion:
    """Raises Refusal `not_on_record` where the version was not there."""
    looked = asof.look(Version._meta.label_lower, version.pk, at)
    model, _ = model_at(version.model, at)
    return PastVersion(*restored_version(version, model, looked.kept.record), looked)


def restored_model(model: Model, record: Mapping[str, Any]) -> Model:
    people, texts = accounts([record["owner"], record["risk_tier_set_by"]]), texts_of([record["purpose"]])
    then = copy.copy(model)
    then.name, then.risk_tier, then.purpose = record["name"], record["risk_tier"], texts[record["purpose"]]
    then.owner = people.get(record["owner"], model.owner)
    then.risk_tier_set_by = people.get(record["risk_tier_set_by"])
    return then


def restored_version(version: Version, model: Model, record: Mapping[str, Any]) -> tuple[Version, list[User]]:
    people, texts = accounts(record["contributors"]), texts_of([record["card"], record["notes"]])
    then = copy.copy(version)
    then.model, then.card, then.notes = model, texts[record["card"]], texts[record["notes"]]
    then.card_recorded = record["card"]
    return then, sorted(people.values(), key=lambda each: each.name)


def evidence_at(rows: Iterable[Evidence], at: datetime) -> list[Evidence]:
    """Of these what was there at the moment; what was withdrawn later stands, as it did."""
    found = []
    for row in rows:
        if row.created_at <= at:
            if row.withdrawn_at and row.withdrawn_at > at:
                row.withdrawn_at, row.withdrawn_reason = None, ""
            found.append(row)
    return found


def accounts(opaque_ids: Iterable[str | None]) -> dict[str | None, User]:
    """People by opaque id, under the names that they have now."""
    wanted = [each for each in opaque_ids if each]
    return {str(user.opaque_id): user for user in User.objects.filter(opaque_id__in=wanted)}


def texts_of(digests: Iterable[str]) -> dict[str, str]:
    """The texts behind digests; one that is not there, or is not what its digest says, is replaced by a remark."""
    wanted = set(digests)
    kept = {row.digest: row.text for row in Text.objects.filter(digest__in=wanted)} | {sha256(b""): ""}
    return {
        digest: kept[digest] if digest in kept and sha256(kept[digest].encode()) == digest else GONE
        for digest in wanted
    }
