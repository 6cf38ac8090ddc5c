"""What a worker does for one export: read under one snapshot, write the file, keep it, and say what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from audits.exports import bundle, document, keeping, lines, tables
from audits.exports.choosing import chosen
from audits.exports.copying import snapshot
from audits.exports.needs import question_of
from audits.exports.rows import Entry, Head, entries, head_of, waiting
from audits.exports.sealed import ends_of, sealed_lines
from audits.models import Export
from ledger import tiles
from ledger.events import database_time
from ledger.refusals import Refusal

Progress = Callable[[float, str], None]
VERIFIER = settings.BASE_DIR / "client" / "countersign_verify.py"


@dataclass
class Tally:
    """What went into a file; `first` and `last` are ids of events."""

    count: int = 0
    unsealed: int = 0
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Made:
    """A file that is in the storage, and what the log shall say of it."""

    export: Export
    head: Head
    tally: Tally
    file: str = ""
    digest: str = ""
    size: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


def make(export: Export, attempt: int, progress: Progress) -> Made:
    """Raises Refusal `nothing_sealed`, `too_many_for_pdf`, `disk_full`; whatever was written is gone then."""
    with keeping.aside() as folder:
        path = folder / "export"
        with snapshot() as cursor:
            head, tally = head_of(cursor, settings.LOG_ORIGIN), Tally()
            events = chosen(export)
            if export.kind == Export.Kind.BUNDLE:
                write_bundle(path, cursor, head, tally, progress)
            elif export.kind == Export.Kind.JSONL and events is None:
                write_everything(path, cursor, head, tally, progress)
            else:
                # Closed at once where writing fails: nothing may read on while the transaction ends.
                with closing(entries(cursor, head, events)) as read:
                    write_entries(export, path, head, tally, counted(read, tally, head, progress))
        progress(97, "Keeping the file")
        file, digest, size = keeping.keep(path, f"{export.pk}-{attempt}")
    return Made(export, head, tally, file, digest, size)


def write_bundle(path: Path, cursor: Any, head: Head, tally: Tally, progress: Progress) -> None:
    if not head.size:
        sentence = (
            "Nothing has been sealed yet, so there is no tree to bundle. Look at the audit log's page: if it says that "
            "the sequencer is behind, tell whoever runs the portal."
        )
        raise Refusal("nothing_sealed", sentence)
    store = tiles.TileStore(tiles.folder_of(settings.LOG_ROOT, head.origin))
    made_at = database_time().isoformat(timespec="seconds").replace("+00:00", "Z")
    readme = bundle.words_beside(Path(bundle.__file__).with_suffix(".txt"), {"origin": head.origin, "size": head.size})
    about = bundle.About(made_at, store.read, VERIFIER.read_bytes(), readme)
    with path.open("wb") as file:
        bundle.write(file, cursor, head, about, progress)
    tally.count = head.size


def write_everything(path: Path, cursor: Any, head: Head, tally: Tally, progress: Progress) -> None:
    with path.open("wb") as file:
        with closing(sealed_lines(cursor, head)) as read:
            for piece in read:
                file.write(piece.text)
                progress(95 * piece.end / head.size, f"{piece.end:,} entries")
        tally.count, (tally.first, tally.last) = head.size, ends_of(cursor, head)
        for text in lines.lines(counted(waiting(cursor, head), tally, head, progress)):
            file.write(text)


def write_entries(export: Export, path: Path, head: Head, tally: Tally, found: Iterable[list[Entry]]) -> None:
    if export.kind == Export.Kind.PDF:
        # The first page says how many there are, so they are read before it is made.
        kept = [*limited(found)]
        path.write_bytes(document.typeset(kept, cover(export, head, tally)))
        return
    parquet = export.kind == Export.Kind.PARQUET
    pieces = lines.lines(found) if export.kind == Export.Kind.JSONL else tables.rows(found, guard=not parquet)
    written = path.with_suffix(".csv") if parquet else path
    with written.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    if parquet:
        from audits.exports.parquet import as_metadata, convert

        convert(written, path, as_metadata({"countersign": about(export, head, tally)}))


def counted(blocks: Iterator[list[Entry]], tally: Tally, head: Head, progress: Progress) -> Iterator[list[Entry]]:
    for block in blocks:
        if not block:
            continue
        tally.first = tally.first or id_of(block[0])
        tally.last = id_of(block[-1])
        tally.count += len(block)
        tally.unsealed += sum(entry.place is None for entry in block)
        place = block[-1].place
        percent = 95 if place is None else 95 * (place + 1) / head.size
        progress(percent, f"{tally.count:,} entries")
        yield block


def limited(blocks: Iterable[list[Entry]]) -> Iterator[list[Entry]]:
    count = 0
    for block in blocks:
        count += len(block)
        if count > settings.EXPORT_PDF_ENTRIES:
            raise too_many()
        yield block


def too_many() -> Refusal:
    sentence = (
        f"A PDF holds at most {settings.EXPORT_PDF_ENTRIES:,} entries. Choose a shorter time or more filters, or take "
        "CSV or JSON Lines."
    )
    return Refusal("too_many_for_pdf", sentence, "kind")


def id_of(entry: Entry) -> str:
    return str(tables.content_of(entry.raw).get("id", ""))[:36]


def about(export: Export, head: Head, tally: Tally) -> dict[str, Any]:
    """What the file says of itself, where its format has a place for that."""
    return {
        "export": export.pk, "filter": export.filter, "count": tally.count, "unsealed": tally.unsealed,
        "first": tally.first, "last": tally.last, "origin": head.origin, "tree_size": head.size, "root": head.root,
    }  # fmt: skip


def cover(export: Export, head: Head, tally: Tally) -> document.Cover:
    selection = export.selection
    facts = [
        *selection.in_words(),
        ("Team", export.team.name if export.team else "the whole house"),
        ("Entries", f"{tally.count:,}" + (f", of which {tally.unsealed:,} not sealed yet" if tally.unsealed else "")),
        ("From entry", tally.first or "none"),
        ("To entry", tally.last or "none"),
        ("Export", f"{export.pk}, asked for by {export.asked_by.name}"),
    ]
    return document.Cover(
        "Extract from the audit log", question_of(selection), head.origin, head.size, head.root or "none yet", facts
    )
