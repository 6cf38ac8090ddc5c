"""A population as a file: CSV for spreadsheets, JSON with everything that its digest and sample can be checked by."""

from __future__ import annotations

import json
from typing import Any

from approvals.populations.services import METHOD, Population
from audits.exports.tables import csv_text, harmless

MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def as_dict(found: Population) -> dict[str, Any]:
    terms = found.terms
    sample = {"seed": terms.seed, "size": terms.sample, "method": METHOD, "ids": found.sampled_ids}
    return {
        "terms": terms.as_dict(), "count": found.count, "sha256": found.digest,
        "sample": sample if terms.sample else None, "results": list(found.rows),
    }  # fmt: skip


def as_csv(found: Population) -> bytes:
    """The rows as the digest has them, and of each whether it is in the sample."""
    sampled = set(found.sampled_ids)
    columns = list(found.rows[0]) if found.rows else ["id"]
    table = [[harmless(row[name] or "") for name in columns] for row in found.rows]
    drawn = ["yes" if row["id"] in sampled else "no" for row in found.rows]
    return csv_text([[*columns, "in_sample"], *([*cells, word] for cells, word in zip(table, drawn, strict=True))])


def as_file(found: Population, form: str) -> bytes:
    return as_csv(found) if form == "csv" else json.dumps(as_dict(found), ensure_ascii=False, indent=1).encode()
