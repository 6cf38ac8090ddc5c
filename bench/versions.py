"""A house with any number of versions: real approvals, and copies of one of them made by the database.

A copy is row by row what it was copied from, under ids of its own: model, versions, artifacts, evidence, requests,
revisions, decisions and what the log recorded of them. So every question reads as many rows as it would of real ones.
The newest copy of each model has the digests that were signed, and is let through; the older ones have not.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import psycopg2

STRIDE = 10_000_000  # between the ids of a copy and of the next
MODEL = 100  # versions of one model
ASKED = 5  # one version of so many has a request
DIGEST = "'sha256:' || encode(sha256(convert_to(t.digest || n, 'UTF8')), 'hex')"
UUID = "md5(t.id::text || n)::uuid"
EVENT = "md5(t.event_id::text || n)::uuid"

EVIDENCE = f"(SELECT array_agg(each + n * {STRIDE}) FROM unnest(t.evidence_ids) each)"  # noqa: S608


def moved(column: str) -> str:
    return f"t.{column} + n * {STRIDE}"


def copies(count: int) -> list[tuple[str, str, dict[str, str], str]]:
    """Table, which of its rows are copied, what a copy has of its own, and for which numbers it is made."""
    every, asked = f"generate_series(1::bigint, {count})", f"generate_series({ASKED}::bigint, {count}, {ASKED})"
    model = f"t.model_id + (1 + (n - 1) / {MODEL}) * {STRIDE}"
    decided = "object_type = 'approvals.decision' AND object_id = ANY(%(decisions)s)"
    events = "SELECT event_id FROM ledger_record WHERE " + decided  # noqa: S608
    return [
        ("registry_model", "id = %(model)s", {
            "id": moved("id"), "name": "t.name || ' ' || n", "slug": "t.slug || '-' || n"},
            f"generate_series(1::bigint, {count // MODEL})"),
        ("registry_artifact", "id = %(artifact)s", {"id": moved("id"), "digest": DIGEST}, every),
        ("registry_version", "id = %(version)s", {
            "id": moved("id"), "model_id": model, "number": f"1 + (n - 1) %% {MODEL}",
            "artifact_id": moved("artifact_id")}, every),
        ("registry_version_contributors", "version_id = %(version)s", {
            "id": moved("id"), "version_id": moved("version_id")}, every),
        ("registry_evidence", "version_id = %(version)s", {
            "id": moved("id"), "version_id": moved("version_id"), "model_id": model}, every),
        ("approvals_reviewrequest", "id = %(request)s", {
            "id": moved("id"), "version_id": moved("version_id"), "model_id": model}, asked),
        ("approvals_revision", "request_id = %(request)s", {
            "id": moved("id"), "request_id": moved("request_id"), "digest": DIGEST,
            "evidence_ids": EVIDENCE}, asked),
        ("approvals_decision", "request_id = %(request)s", {
            "id": moved("id"), "request_id": moved("request_id"), "revision_id": moved("revision_id"),
            "authentication": "md5(t.authentication::text || n)::uuid"}, asked),
        ("ledger_event", f"id IN ({events})", {"id": UUID}, asked),
        ("ledger_record", decided, {
            "id": moved("id"), "event_id": EVENT, "object_id": f"(t.object_id::bigint + n * {STRIDE})::text"}, asked),
        ("ledger_leaf", f"event_id IN ({events})", {
            "index": 't."index" + n * 1000', "event_id": EVENT}, asked),
    ]  # fmt: skip


def multiply(request: Any, count: int) -> None:
    """Copy an approved request's version `count` times, and its request for every fifth, as the superuser."""
    version = request.version
    given = {
        "model": version.model_id, "artifact": version.artifact_id, "version": version.pk, "request": request.pk,
        "decisions": [str(pk) for pk in request.decisions.values_list("pk", flat=True)],
    }  # fmt: skip
    with administrator() as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table, which, own, numbers in copies(count):
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
                " AND is_generated = 'NEVER' ORDER BY ordinal_position",
                [table],
            )
            names = [name for (name,) in cursor.fetchall()]
            values = ", ".join(own.get(name, f't."{name}"') for name in names)
            columns = ", ".join(f'"{name}"' for name in names)
            cursor.execute(
                f"INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE"  # noqa: S608
                f" SELECT {values} FROM {table} t, {numbers} n WHERE {which}",
                given,
            )
    sign_newest(request, count)
    with administrator() as connection:
        connection.cursor().execute("VACUUM ANALYZE")
        connection.cursor().execute("CHECKPOINT")  # else what was filled in is written while questions are timed


@contextlib.contextmanager
def administrator() -> Iterator[Any]:
    """A connection of the superuser, which commits each statement."""
    with contextlib.closing(psycopg2.connect(os.environ["ADMIN_DATABASE_URL"], dbname="bench")) as connection:
        connection.autocommit = True
        yield connection


def sign_newest(request: Any, count: int) -> None:
    """Give the newest copy of each model the digests that its own records make, and the log's record of them; and the
    log a checkpoint that covers all copies.
    """
    from approvals.dossier import open_dossiers
    from approvals.models import ReviewRequest
    from ledger.canonical import canonical

    newest = [number * STRIDE for number in range(MODEL, count + 1, MODEL)]
    with administrator() as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "UPDATE registry_evidence e SET summary = jsonb_set(summary, '{artifact}', to_jsonb(a.digest))"
            " FROM registry_version v JOIN registry_artifact a ON a.id = v.artifact_id"
            " WHERE e.version_id = v.id AND v.id = ANY(%s) AND summary ? 'artifact'",
            [[request.version_id + each for each in newest]],
        )
        for table in ("approvals_revision", "approvals_decision", "ledger_record"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")  # append-only: nothing is written after this
        copies = ReviewRequest.objects.filter(pk__in=[request.pk + each for each in newest])
        for pk, found in open_dossiers(copies).items():
            digest = found.case.computed
            cursor.execute(
                "UPDATE approvals_revision SET digest = %s, manifest_bytes = %s WHERE request_id = %s",
                [digest, canonical(found.manifest), pk],
            )
            for decision in found.decisions:
                decision.digest = digest
                cursor.execute("UPDATE approvals_decision SET digest = %s WHERE id = %s", [digest, decision.pk])
                cursor.execute(
                    "UPDATE ledger_record SET bytes = %s WHERE object_type = 'approvals.decision' AND object_id = %s",
                    [canonical(decision.as_record()), str(decision.pk)],
                )
        cursor.execute(
            "INSERT INTO ledger_checkpoint (origin, size, note, at)"
            ' SELECT origin, (SELECT max("index") + 1 FROM ledger_leaf), note, at FROM ledger_checkpoint'
            " ORDER BY size DESC LIMIT 1"
        )


def an_approved_house(top: Any, real: int) -> list[Any]:
    """So many approved requests, each for a version of its own, made through the services."""
    from tests.approvals.world import an_approval
    from tests.cast import Cast
    from tests.sealing import PRESENT, Sealer

    cast = Cast()
    PRESENT.append(Sealer(top / "log", "bench"))
    return [an_approval(cast) for _ in range(real)]
