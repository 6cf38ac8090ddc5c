"""Versions: bytes that were looked at in a sandbox, with the rule that turns their scores into decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Max

from accounts.models import User
from ledger.actors import Actor
from ledger.canonical import digest_of
from ledger.door import Done, governed
from ledger.refusals import Refusal
from registry import features as fitting
from registry.models import Model, Upload, Version
from registry.services.inputs import account_of, keep, words
from registry.services.sandboxed import asked
from registry.services.uploads import usable_upload

CARD_CHARACTERS = 100_000
Inspected = Mapping[str, Any] | Refusal | None


def inspect_upload(upload: Upload, width: int | None = None) -> dict[str, Any]:
    """What the sandbox finds in a model file, as plain JSON: see `registry.onnx.facts.ModelFacts`.

    Raises Refusal with the sandbox's code (`not_onnx`, `pickle`, …), or when the stored bytes are damaged.
    """
    from registry.onnx.problems import ModelProblem
    from registry.onnx.sandbox import inspect_model

    try:
        return asked(upload.artifact, ("model", width), lambda path: inspect_model(path, width=width).as_dict())
    except ModelProblem as problem:
        raise Refusal(problem.code, problem.sentence, "upload") from problem


def register_version(
    *, by: Actor, model: Model, upload: Upload, features: Sequence[str], decision_rule: Mapping[str, Any],
    card: str = "", notes: str = "", contributors: Sequence[User],
) -> Version:  # fmt: skip
    """Look at the file in the sandbox, if `by` may register versions, then register it. See `add_version`."""
    inspected: Inspected = None
    if by.has_perm("registry.register_version", model) and upload.team_id == model.team_id:
        try:
            inspected = inspect_upload(upload, len(features) or None)
        except Refusal as refusal:
            inspected = refusal
    return add_version(
        by=by, model=model, upload=upload, inspected=inspected, features=features, decision_rule=decision_rule,
        card=card, notes=notes, contributors=contributors,
    )  # fmt: skip


@governed(permission="registry.register_version", event="version.registered", on="model")
def add_version(
    *, by: Actor, model: Model, upload: Upload, inspected: Inspected, features: Sequence[str],
    decision_rule: Mapping[str, Any], card: str, notes: str, contributors: Sequence[User],
) -> Done[Version]:  # fmt: skip
    """The next version of a model. A refusal by the sandbox is recorded as one.

    Raises Refusal `inputs_differ`, `bad_decision_rule`, `contributors_missing`, `version_exists` and the sandbox's own.
    """
    artifact = usable_upload(upload, model.team_id)
    if not isinstance(inspected, Mapping):
        raise inspected or Refusal("not_inspected", "The file was not looked at. Send the form again.", "upload")
    if problem := fitting.features_at_fault(inspected["inputs"], features):
        raise Refusal(*problem, "features")
    rule = plain_rule(decision_rule, inspected["outputs"])
    if not contributors:
        raise Refusal(
            "contributors_missing",
            "Name everybody who worked on this version: they may not approve it.",
            "contributors",
        )
    for known in model.versions.filter(artifact=artifact):
        if known.decision_rule == rule and known.features == list(features):
            raise Refusal(
                "version_exists",
                f"Version {known.number} has these bytes, features and decision rule already. Edit its card, or "
                f"change one "
                "of the three.",
                "upload",
            )
    account = account_of(by)
    last = model.versions.aggregate(last=Max("number"))["last"] or 0
    version = Version.objects.create(
        model=model, number=last + 1, artifact=artifact, filename=upload.filename, signature=dict(inspected),
        features=list(features), decision_rule=rule, registered_by=account,
        card=words(card, "card", most=CARD_CHARACTERS, least=0), notes=words(notes, "notes", most=4000, least=0),
    )  # fmt: skip
    people = {person.pk: person for person in (account, *contributors)}
    version.contributors.set(people.values())
    keep(version.card, version.notes)
    facts = {
        "model": str(model.pk), "number": version.number, "artifact": artifact.digest, "size": artifact.size,
        "decision_rule": rule, "features": len(features), "features_digest": digest_of(list(features)),
        "card": version.card_digest, "contributors": sorted(str(person.opaque_id) for person in people.values()),
    }  # fmt: skip
    return Done(version, on=version, facts=facts, discloses={"filename": version.filename})


def plain_rule(given: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The decision rule in its one form. Raises Refusal `bad_decision_rule`."""
    from registry.onnx.decision import DecisionRule
    from registry.onnx.problems import ModelProblem

    try:
        rule = DecisionRule.from_mapping(given).as_dict()
    except ModelProblem as problem:
        raise Refusal(problem.code, problem.sentence, "decision_rule") from problem
    if fault := fitting.rule_at_fault(outputs, rule):
        raise Refusal(*fault, "decision_rule")
    return rule


@governed(permission="registry.edit_version", event="version.card_edited", on="version")
def edit_card(*, by: Actor, version: Version, card: str) -> Done[Version]:
    """Change a version's card. What was signed over the old card is outdated from then on."""
    before = version.card_digest
    version.card = words(card, "card", most=CARD_CHARACTERS, least=0)
    if version.card_digest == before:
        raise Refusal("nothing_changed", "The card is the same as before. Change it, or go back.", "card")
    version.save(update_fields=["card"])
    keep(version.card)
    return Done(version, facts={"from": before, "to": version.card_digest})


@governed(permission="registry.edit_version", event="version.contributors_added", on="version")
def add_contributors(*, by: Actor, version: Version, contributors: Sequence[User]) -> Done[Version]:
    """Name more people who worked on a version. Nobody is ever taken off: they could then sign their own work."""
    known = set(version.contributors.values_list("pk", flat=True))
    new = [person for person in contributors if person.pk not in known]
    if not new:
        raise Refusal("nothing_changed", "They are named already. Choose somebody else, or go back.", "contributors")
    version.contributors.add(*new)
    return Done(version, facts={"added": sorted(str(person.opaque_id) for person in new)})
