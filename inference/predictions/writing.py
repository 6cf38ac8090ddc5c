"""Rows of the prediction log into the database: many at once by COPY, or one by one where the many failed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from django.db import DataError, IntegrityError, connection

from ledger.door import mechanical

COLUMNS = (
    "id", "at", "endpoint_id", "key_id", "request_id", "client_id", "artifact", "revision", "status", "code", "role",
    "rows", "latency", "level", "input_digest", "output_digest", "inputs", "outputs",
)  # fmt: skip
NAMES = ", ".join(COLUMNS)
COPY = f"COPY inference_prediction ({NAMES}) FROM STDIN"
INSERT = (
    f"INSERT INTO inference_prediction ({NAMES}) VALUES ({', '.join(['%s'] * len(COLUMNS))}) ON CONFLICT DO NOTHING"  # noqa: S608
)
FEEDBACK = (
    'INSERT INTO inference_feedback (id, endpoint_id, key_id, "values") VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING'
)
# What COPY reads otherwise, and NUL, which no text of PostgreSQL can hold.
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\N{REPLACEMENT CHARACTER}"})
SPECIAL = re.compile("[\\\\\t\n\r\0]")
AHEAD_DAYS = 7
# As text, in the order of COLUMNS; None is NULL.
Values = Sequence[str | None]


def line(row: Values) -> str:
    """As COPY reads it. Hardly a row has anything to escape, and looking is much cheaper than doing it."""
    values = ["\\N" if value is None else value for value in row]
    if SPECIAL.search("".join([value for value in row if value])):
        values = ["\\N" if value is None else value.translate(ESCAPES) for value in row]
    return "\t".join(values) + "\n"


@mechanical("prediction rows are a log of their own, written by the gateway as it answers")
def write(rows: Iterable[Values]) -> None:
    """All of them, in one transaction, or none. Raises DatabaseError."""
    text = "".join([line(row) for row in rows])
    with connection.cursor() as cursor, connection.wrap_database_errors:
        cursor.copy_expert(COPY, io.StringIO(text))


@mechanical("as above, for rows among which one cannot be written, or that may have been written before")
def write_each(rows: Iterable[Values]) -> list[Exception | None]:
    """What was wrong with each row; one that is there already is right. Raises where the database is at fault."""
    faults: list[Exception | None] = []
    with connection.cursor() as cursor:
        for row in rows:
            given = [value and value.replace("\0", "\N{REPLACEMENT CHARACTER}") for value in row]
            try:
                cursor.execute(INSERT, given)
                faults.append(None)
            except (DataError, IntegrityError) as error:
                faults.append(error)
    return faults


@mechanical("makes the partitions of the days to come; the function is the owner's and makes nothing else")
def make_partitions(days: int = AHEAD_DAYS) -> int:
    """How many were made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT prediction_partitions(%s)", [days])
        (made,) = cursor.fetchone()
    return int(made)


@mechanical("ground truth arrives by the gateway as predictions do, with a key and not by a person's act")
def write_feedback(prediction: UUID, endpoint: int, key: int, values: list[Any]) -> bool:
    """Whether it is new: what is known of a prediction stays."""
    with connection.cursor() as cursor:
        cursor.execute(FEEDBACK, [str(prediction), endpoint, key, json.dumps(values)])
        return bool(cursor.rowcount)
