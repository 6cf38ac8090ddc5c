"""What the transparency log costs. `python -m bench.audit [--quick]`.

Appending on a durable database, in turn with the same transaction on tables without triggers and queue; verifying a
bundle, in turn with hashing the same bytes; proofs by size of the tree; exporting, in turn with COPY in binary.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import itertools
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from bench import emit
from bench.filling import Row, rows
from bench.gateway import database

BENCH = "audit"
ROOT = Path(__file__).resolve().parents[1]
START = datetime(2026, 1, 1, tzinfo=UTC)
TWINS = """
CREATE TABLE bare_event (LIKE ledger_event INCLUDING ALL);
CREATE TABLE bare_disclosure (LIKE ledger_disclosure INCLUDING ALL);
CREATE TABLE bench_business (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, said text);
GRANT SELECT, INSERT ON bare_event, bare_disclosure, bench_business TO countersign_portal;
"""


COPIES = {
    "events": "COPY ledger_event TO STDOUT (FORMAT BINARY)",
    "disclosures": "COPY ledger_disclosure TO STDOUT (FORMAT BINARY)",
}


def timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turn(one: Callable[[], Any], other: Callable[[], Any], rounds: int) -> tuple[float, list[float], list[float]]:
    """Median of `other`'s time by `one`'s over pairs, the order changing each time, and both lists of seconds."""
    ones: list[float] = []
    others: list[float] = []
    for number in range(rounds):
        for work, kept in [(one, ones), (other, others)][:: 1 if number % 2 else -1]:
            kept.append(timed(work))
    return median(b / a for a, b in zip(ones, others, strict=True)), ones, others


# Appending


def appending(admin: str, writers: int, each: int, rounds: int) -> None:
    from django.db import connection, connections, transaction

    from ledger import events
    from ledger.actors import SystemActor

    by = SystemActor("bench")
    facts = {"digest": "sha256:" + 64 * "0", "from": "high", "to": "limited"}
    bare = events.EVENT.replace("ledger_", "bare_")

    def business(event: Callable[[], None]) -> None:
        with transaction.atomic(durable=True):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO bench_business (said) VALUES ('approved')")
            event()

    def composed() -> tuple[Any, Any, Any]:
        return events.compose("bench.done", by=by, on=None, team=1, facts=facts, discloses={"reason": "Replicated."})

    def with_log() -> None:
        events.write(*composed())

    def without() -> None:
        row, salted, _ = composed()
        with connection.cursor() as cursor:
            cursor.execute(bare + " SELECT", events.values_of(row, salted))

    def run(event: Callable[[], None]) -> Callable[[], None]:
        def writer(ready: threading.Barrier) -> None:
            connection.ensure_connection()
            ready.wait()
            for _ in range(each):
                business(event)
            connections.close_all()

        def all_writers() -> None:
            ready = threading.Barrier(writers)
            threads = [threading.Thread(target=writer, args=(ready,)) for _ in range(writers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        return all_writers

    timed(run(with_log)), timed(run(without))
    ratio, ours, bares = in_turn(run(with_log), run(without), rounds)
    rate = writers * each / median(ours)
    emit(
        BENCH, f"append, {writers} writer{'s' if writers > 1 else ''}", ratio, 0.9,
        "the same transaction on the same tables and btree indexes, without queue and triggers",
        {"appends_per_second": round(rate), "bare_per_second": round(writers * each / median(bares)), "rounds": rounds},
    )  # fmt: skip


# A log of some length


def emptied(admin: str) -> None:
    """An empty log, in a database that is thrown away anyhow: its owner can do that, and a verifier would see it."""
    tables = ("disclosure", "record", "leaf", "treehead", "checkpoint", "tile", "key", "event")
    with contextlib.closing(psycopg2.connect(admin)) as connection, connection, connection.cursor() as cursor:
        for one in tables:
            cursor.execute(f"ALTER TABLE ledger_{one} DISABLE TRIGGER append_only")
        cursor.execute("TRUNCATE " + ", ".join(f"ledger_{one}" for one in (*tables, "pending", "search")))


def filled(admin: str, count: int) -> list[bytes]:
    """Copy events, disclosures and leaves in; the leaf hashes."""
    from ledger.merkle import leaf_hash

    actors = [(f"00000000-0000-7000-8000-{number:012d}", f"Person {number}") for number in range(50)]
    hashes: list[bytes] = []
    made = rows(count, actors, [1, 2, 3], START)
    with contextlib.closing(psycopg2.connect(admin)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        while batch := list(itertools.islice(made, 20_000)):
            leaves = [leaf_hash(row.raw) for row in batch]
            put_in(cursor, batch, leaves, len(hashes))
            hashes += leaves
    with contextlib.closing(psycopg2.connect(admin)) as connection:
        connection.autocommit = True
        connection.cursor().execute("VACUUM ANALYZE ledger_event, ledger_disclosure, ledger_leaf")
    return hashes


def put_in(cursor: Any, batch: list[Row], leaves: list[bytes], first: int) -> None:
    cursor.copy_from(io.StringIO("".join(row.line() for row in batch)), "ledger_event")
    told = io.StringIO("".join(row.told_lines() for row in batch))
    cursor.copy_from(told, "ledger_disclosure", columns=("event_id", "label", "salt", "value"))
    numbered = zip(itertools.count(first), batch, leaves)
    text = io.StringIO("".join(f"{index}\t{row.id}\t\\\\x{leaf.hex()}\n" for index, row, leaf in numbered))
    cursor.copy_from(text, "ledger_leaf", columns=("index", "event_id", "hash"))


def sealed(admin: str, hashes: list[bytes], folder: Path) -> bytes:
    """Write the tiles and a checkpoint over all of it, as the sequencer would; the signed note."""
    from django.conf import settings

    from ledger import merkle, notes
    from ledger.tiles import TileStore, folder_of

    store = TileStore(folder_of(folder, settings.LOG_ORIGIN), fsync=False)
    for tile, data in merkle.grow(0, hashes, store.read):
        store.write(tile, data)
    key = notes.SigningKey.generate(settings.LOG_ORIGIN)
    root = merkle.Frontier().extend(hashes).root()
    note = notes.sign(notes.Checkpoint(settings.LOG_ORIGIN, len(hashes), root).body(), [key])
    with contextlib.closing(psycopg2.connect(admin)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO ledger_checkpoint (origin, size, note, at) VALUES (%s, %s, %s, now())",
                       [settings.LOG_ORIGIN, len(hashes), note])  # fmt: skip
        cursor.execute("INSERT INTO ledger_key (vkey, role, since) VALUES (%s, 'log', now())", [key.vkey])
    return note


# Reading it


def proofs(hashes: list[bytes], folder: Path, sizes: list[int]) -> None:
    from django.conf import settings

    from ledger import merkle
    from ledger.tiles import TileStore, folder_of

    told, chance = {}, random.Random(7)
    for size in sizes:
        store = TileStore(folder_of(folder, f"{settings.LOG_ORIGIN}/{size}"), fsync=False)
        for tile, data in merkle.grow(0, hashes[:size], store.read):
            store.write(tile, data)

        def proof(size: int = size, store: TileStore = store) -> None:
            merkle.inclusion(chance.randrange(size), size, merkle.tiled(size, store.read))

        taken = [timed(proof) for _ in range(300)]
        told[f"{size:,} entries, ms"] = round(1000 * median(taken), 3)
    largest = list(told.values())[-1]
    emit(BENCH, "inclusion proof", detail={**told, "goal_ms": 5, "met": largest <= 5})


def exporting(admin: str, count: int, rounds: int) -> None:
    from django.conf import settings

    from audits.exports.copying import snapshot
    from audits.exports.rows import head_of
    from audits.exports.sealed import sealed_lines

    with tempfile.TemporaryDirectory() as folder:

        def ours() -> None:
            with snapshot() as cursor, open(Path(folder, "ours"), "wb") as file:
                for piece in sealed_lines(cursor, head_of(cursor, settings.LOG_ORIGIN)):
                    file.write(piece.text)

        def copies() -> None:
            with contextlib.closing(psycopg2.connect(admin)) as connection, connection.cursor() as cursor:
                for name, copy in COPIES.items():
                    with open(Path(folder, name), "wb") as file:
                        cursor.copy_expert(copy, file)

        ratio, times, others = in_turn(ours, copies, rounds)
        size = Path(folder, "ours").stat().st_size
    emit(
        BENCH, f"export of {count:,} entries as JSON Lines", ratio, 0.7, "COPY of the same two tables (FORMAT BINARY)",
        {"seconds": round(median(times), 2), "copy_seconds": round(median(others), 2), "mebibytes": size >> 20},
    )  # fmt: skip


def verifying(count: int, rounds: int, quick: bool) -> None:
    from django.conf import settings

    from audits.exports import bundle
    from audits.exports.copying import snapshot
    from audits.exports.rows import head_of
    from ledger.tiles import TileStore, folder_of

    verifier = ROOT / "client" / "countersign_verify.py"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.zip")
        store = TileStore(folder_of(settings.LOG_ROOT, settings.LOG_ORIGIN))
        about = bundle.About("2026-01-01T00:00:00Z", store.read, verifier.read_bytes(), "")
        with snapshot() as cursor, path.open("wb") as file:
            bundle.write(file, cursor, head_of(cursor, settings.LOG_ORIGIN), about, lambda percent, phase: None)
        entries = list(unpacked(path))

        command = [sys.executable, "-I", "-S", str(verifier), str(path)]

        def ours() -> None:
            subprocess.run([*command, "--entries-only"], check=True, stdout=subprocess.DEVNULL)

        def everything() -> None:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

        def hashing() -> None:
            for entry in entries:
                hashlib.sha256(b"\0" + entry).digest()

        ratio, times, others = in_turn(ours, hashing, rounds)
        told = {} if quick else {"with names and reasons, seconds": round(timed(everything), 2)}
    emit(
        BENCH, f"verify {count:,} entries", ratio, 0.5, "hashing the same entries with hashlib, one process",
        {
            "seconds": round(median(times), 2), "hashing_seconds": round(median(others), 2), "cores": os.cpu_count(),
            **told,
        },
    )  # fmt: skip


def unpacked(path: Path) -> Iterator[bytes]:
    from ledger.merkle import decode_entries

    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("tile/entries/"):
                yield from decode_entries(archive.read(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 entries, under 50 s on two cores")
    quick = parser.parse_args().quick
    count = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as top, database(Path(top), durable=True):
        import django

        django.setup()
        from django.conf import settings

        settings.LOG_ROOT = str(Path(top, "log"))
        admin = urlsplit(os.environ["ADMIN_DATABASE_URL"])._replace(path="/bench").geturl()
        with contextlib.closing(psycopg2.connect(admin)) as connection, connection:
            connection.cursor().execute(TWINS)
        for writers, each in ((1, 200), (8, 60)) if quick else ((1, 1000), (8, 300)):
            appending(admin, writers, each, 3 if quick else 15)
        emptied(admin)
        hashes = filled(admin, count)
        sealed(admin, hashes, Path(settings.LOG_ROOT))
        proofs(hashes, Path(top, "proofs"), [size for size in (10_000, 100_000, 1_000_000) if size <= count])
        exporting(admin, count, 3)
        verifying(count, 3, quick)


if __name__ == "__main__":
    main()
