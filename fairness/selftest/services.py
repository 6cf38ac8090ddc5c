"""Acts about privileged self-tests. What the log says of them holds no version, no name but the actor's, no finding."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.urls import reverse
from django.utils.text import slugify

from accounts.models import User
from fairness.selftest.models import Naming, SelfTest
from fairness.services import COMPUTE_SELF_TEST, Computed, bias_inputs, title_of
from jobs.claims import Claim
from jobs.services import enqueue, show_to
from jobs.services import publish as end_job
from ledger.actors import Actor
from ledger.canonical import digest_of, sha256
from ledger.door import Done, governed
from ledger.events import database_time
from ledger.refusals import Refusal
from registry.models import Artifact, Dataset, Evidence, Version
from registry.people import named
from registry.services import add_evidence, artifact_of
from registry.services.evidence import facts_of
from registry.services.inputs import account_of, words
from registry.storage import Stored

People = Sequence[int | str]
MOST_WORDS = 1000


@governed(permission="fairness.request_report", event="self_test.requested", on="version", lock=False, discreet=True)
def request_self_test(
    *, by: Actor, version: Version, dataset: Dataset, source: str, reason: str, people: People = (),
    sensitive: Sequence[str] | None = None, rule: Mapping[str, Any] | None = None,
    further_rules: Sequence[Mapping[str, Any]] = (), reference: Mapping[str, str] | None = None,
    weight_kind: str = "survey",
) -> Done[SelfTest]:  # fmt: skip
    """A bias report that is privileged (12 CFR 1002.15) from here on: its job and itself are shown to whoever asks and
    to `people` (ids or mail addresses of accounts that see the version), whatever roles say.

    The same asked twice is the same self-test. Raises Refusal as `request_bias_report`, and `person_unknown`,
    `text_missing` or `too_long`.
    """
    asker, said = account_of(by), words(reason, "reason", most=MOST_WORDS)
    everybody = {asker, *named(version.team_id, people, "people")}
    inputs = bias_inputs(version, dataset, source, sensitive, rule, further_rules, reference, weight_kind)
    ids = opaque(everybody)
    inputs["privileged"] = {
        "people": ids, "reason": sha256(said.encode()),
        # What was lifted is an ordinary report by now, so the same question is another one.
        "lifted": SelfTest.objects.filter(version=version).exclude(lifted_at=None).count(),
    }  # fmt: skip
    job = enqueue(
        kind=COMPUTE_SELF_TEST, inputs=inputs, team_id=version.team_id, subject=f"Privileged self-test of {version}",
        subject_url=version.get_absolute_url(), by=by, only_for=ids,
    )  # fmt: skip
    test = SelfTest.objects.filter(job=job).first()
    if test is None:
        test = SelfTest.objects.create(
            version=version, dataset=dataset, job=job, reason=said, salt=secrets.token_hex(32), asked_by=asker,
            title=title_of("bias_report", source, dataset),
        )  # fmt: skip
        name(test, everybody, asker, said)
    terms = {"version": str(version.pk), "inputs": job.inputs_digest, "people": ids, "reason": said}
    return Done(test, on=test, facts={"job": str(job.pk), "sealed": test.sealed(**terms)})


def opaque(people: Iterable[User]) -> list[str]:
    return sorted(str(person.opaque_id) for person in people)


def name(test: SelfTest, people: Iterable[User], by: User, reason: str) -> None:
    Naming.objects.bulk_create(
        [Naming(self_test=test, person=each, by=by, reason=reason) for each in sorted(people, key=lambda one: one.pk)]
    )


def check_named(by: Actor, test: SelfTest) -> User:
    """Raises Refusal `gone` for who is not named: to them it does not exist."""
    account = account_of(by)
    if not Naming.objects.filter(self_test=test, person=account).exists():
        raise Refusal("gone", "This no longer exists. Somebody may have removed it; go back and look again.")
    return account


def check_privileged(test: SelfTest) -> None:
    if test.lifted_at is not None:
        raise Refusal("privilege_lifted", "Its privilege was lifted: the report is evidence by now. Look at it there.")


@governed(permission="fairness.publish_report", event="self_test.published", on="test")
def publish_self_test(*, by: Actor, test: SelfTest, computed: Computed, claim: Claim) -> Done[SelfTest]:
    """Keep the report and end the job, both or neither. Raises Lost or Cancelled, which leave nothing behind."""
    artifact = artifact_of(computed.stored)
    test.artifact, test.published_at = artifact, database_time()
    test.summary = computed.summary | {"job": str(claim.job.pk)}
    test.save(update_fields=["artifact", "published_at", "summary"])
    end_job(claim, result_url=test.get_absolute_url())
    sealed = test.sealed(artifact=artifact.digest, summary=digest_of(test.summary))
    return Done(test, facts={"job": str(claim.job.pk), "attempt": claim.attempt, "sealed": sealed})


@governed(permission="fairness.request_report", event="self_test.people_named", on="test")
def name_people(*, by: Actor, test: SelfTest, people: People, reason: str) -> Done[SelfTest]:
    """Show the self-test and its job to more people. Raises Refusal `gone`, `privilege_lifted`, `person_unknown`,
    `nothing_changed`, `text_missing` or `too_long`."""
    account = check_named(by, test)
    check_privileged(test)
    said, before = words(reason, "reason", most=MOST_WORDS), set(test.people)
    more = set(named(test.team_id, people, "people")) - before
    if not more:
        raise Refusal("nothing_changed", "Name somebody who is not named yet.", "people")
    name(test, more, account, said)
    show_to(test.job_id, opaque(before | more))
    return Done(test, facts={"named": len(more), "sealed": test.sealed(people=opaque(more), reason=said)})


@governed(permission="fairness.request_report", event="self_test.lifted", on="test")
def lift_privilege(*, by: Actor, test: SelfTest, reason: str, confirmed: bool = False) -> Done[Evidence]:
    """Make the report evidence as any other, of the age that it has; this cannot be undone.

    The event tells the salt, so that what earlier events sealed can be checked. Raises Refusal `gone`,
    `privilege_lifted`, `not_computed_yet`, `unconfirmed`, `text_missing` or `too_long`.
    """
    account = check_named(by, test)
    check_privileged(test)
    if test.artifact is None:
        raise Refusal("not_computed_yet", "There is no report yet. Wait for its job, or cancel that.")
    if not confirmed:
        sentence = "Confirm that everybody whose role lets them see the version may see the report from now on."
        raise Refusal("unconfirmed", sentence, "confirmed")
    said, artifact = words(reason, "reason", most=MOST_WORDS), test.artifact
    evidence = add_evidence(
        test.version, kind=test.kind, title=test.title, stored=Stored(artifact.digest, artifact.size),
        filename=f"{slugify(f'bias-report-{test.version}')}.json", media_type="application/json",
        provenance=Evidence.Provenance.COMPUTED, produced_by=test.asked_by, dataset=test.dataset, summary=test.summary,
        made_at=test.published_at,
    )  # fmt: skip
    test.lifted_at, test.lifted_by, test.lifted_reason, test.evidence = database_time(), account, said, evidence
    test.save(update_fields=["lifted_at", "lifted_by", "lifted_reason", "evidence"])
    show_to(test.job_id, None, result_url=reverse("report", args=[evidence.pk]))
    facts = facts_of(evidence) | {"self_test": str(test.pk), "job": str(test.job_id), "salt": test.salt}
    return Done(evidence, on=evidence, facts=facts, discloses={"reason": said})


@governed(permission="registry.download_artifact", event="self_test.downloaded", on="test", lock=False)
def record_self_test_download(*, by: Actor, test: SelfTest) -> Done[Artifact]:
    """Record that somebody takes a copy of the report away. Raises Refusal `gone` or `not_computed_yet`."""
    check_named(by, test)
    if test.artifact is None:
        raise Refusal("not_computed_yet", "There is no report yet. Look at its job.")
    return Done(test.artifact)
