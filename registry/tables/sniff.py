"""Tells Parquet from CSV, and refuses text that is not UTF-8 before a reader guesses at it."""

from __future__ import annotations

import codecs
from pathlib import Path

from registry.tables.problems import TableProblem

PARQUET = b"PAR1"
PIECE = 1 << 20


def format_of(path: Path) -> str:
    """`parquet` or `csv`. Raises TableProblem."""
    size = path.stat().st_size
    if not size:
        raise TableProblem("empty_file", "The file is empty (0 bytes). Check the export and upload it again.")
    with path.open("rb") as file:
        if file.read(4) != PARQUET:
            check_utf8(path)
            return "csv"
        file.seek(max(0, size - 4))
        if size < 12 or file.read(4) != PARQUET:
            raise TableProblem(
                "broken_parquet", f"The Parquet file breaks off after {size:,} bytes. Write it again and upload it."
            )
    return "parquet"


def check_utf8(path: Path) -> None:
    """Raises TableProblem naming the line of the first byte that is not UTF-8 text."""
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    lines = 1
    with path.open("rb") as file:
        while True:
            held, _ = decoder.getstate()
            piece = file.read(PIECE)
            if b"\0" in piece:
                raise TableProblem(
                    "not_text", "The file is neither Parquet nor CSV: it holds zero bytes. Upload Parquet or UTF-8 CSV."
                )
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                line = lines + (held + piece)[: error.start].count(b"\n")
                raise TableProblem(
                    "not_utf8",
                    f"The file is not UTF-8: line {line:,} holds the byte 0x{error.object[error.start]:02X}. It may be "
                    "Latin-1 or Windows-1252; save it as UTF-8 and upload it again.",
                ) from None
            if not piece:
                return
            lines += piece.count(b"\n")
