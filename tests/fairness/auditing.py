"""Applicants for bias audits: the worked examples that the rules themselves print (6 RCNY § 5-301), and rows of them.

Each category has its people, how many were selected or scored above the median, and the impact ratio as printed. The
first example's row by race of Hispanic or Latino people (408, 204) is not the sum of its intersections (395, 172) in
the rule's own text; so each of its tables is checked from the counts that are printed in it.
"""

from __future__ import annotations

import csv
import io
from typing import Any

SELECTED = {
    "sex": {"male": (1390, 667, "1.000"), "female": (1181, 555, "0.979")},
    "race": {
        "hispanic_or_latino": (408, 204, "0.97"), "white": (797, 412, "1.00"),
        "black_or_african_american": (390, 170, "0.84"), "pacific_islander": (119, 52, "0.85"),
        "asian": (616, 302, "0.95"), "native_american": (41, 18, "0.85"), "two_or_more_races": (213, 96, "0.87"),
    },
    "intersection": {
        "male/hispanic_or_latino": (205, 90, "0.841"), "female/hispanic_or_latino": (190, 82, "0.827"),
        "male/white": (412, 215, "1.000"), "male/black_or_african_american": (226, 95, "0.806"),
        "male/pacific_islander": (87, 37, "0.815"), "male/asian": (321, 167, "0.997"),
        "male/native_american": (24, 11, "0.878"), "male/two_or_more_races": (115, 52, "0.866"),
        "female/white": (385, 197, "0.981"), "female/black_or_african_american": (164, 75, "0.876"),
        "female/pacific_islander": (32, 15, "0.898"), "female/asian": (295, 135, "0.877"),
        "female/native_american": (17, 7, "0.789"), "female/two_or_more_races": (98, 44, "0.860"),
    },
}  # fmt: skip
# The second example prints people, scoring rate and ratio; how many scored above the median follows from the rate.
SCORED = {
    "sex": {"male": (92, 50, "1.00"), "female": (76, 34, "0.82")},
    "race": {
        "hispanic_or_latino": (28, 18, "1.00"), "white": (40, 15, "0.58"),
        "black_or_african_american": (32, 16, "0.78"), "pacific_islander": (8, 5, "0.97"), "asian": (24, 10, "0.65"),
        "native_american": (16, 10, "0.97"), "two_or_more_races": (20, 10, "0.78"),
    },
    "intersection": {
        "male/hispanic_or_latino": (16, 12, "1.00"), "female/hispanic_or_latino": (12, 6, "0.67"),
        "male/white": (20, 7, "0.47"), "male/black_or_african_american": (20, 10, "0.67"),
        "male/pacific_islander": (4, 3, "1.00"), "male/asian": (12, 7, "0.78"), "male/native_american": (8, 5, "0.83"),
        "male/two_or_more_races": (12, 6, "0.67"), "female/white": (20, 8, "0.53"),
        "female/black_or_african_american": (12, 6, "0.67"), "female/pacific_islander": (4, 2, "0.67"),
        "female/asian": (12, 3, "0.33"), "female/native_american": (8, 5, "0.83"),
        "female/two_or_more_races": (8, 4, "0.67"),
    },
}  # fmt: skip
COLUMNS = {"gender": "sensitive", "ethnicity": "sensitive", "score": "other", "invited": "label", "style": "other"}
SEX_VALUES = {"male": "male", "female": "female"}
RACE_VALUES = {name: name for name in SCORED["race"]}
ASKED: dict[str, Any] = {
    "kind": "scoring", "source": "recorded", "sex": "gender", "race": "ethnicity", "sex_values": SEX_VALUES,
    "race_values": RACE_VALUES, "outcome": "score", "data_kind": "historical",
    "explanation": "All applications of 2025.",
}  # fmt: skip


def rows_of_the_scored_example() -> list[tuple[Any, ...]]:
    """168 people, and the 15 whose sex is not known: at the median, so that the tables are the printed ones."""
    rows: list[tuple[Any, ...]] = []
    for key, (people, above, _) in SCORED["intersection"].items():
        sex, race = key.split("/")
        for at in range(people):
            over = at < above
            rows.append((sex, race, 2 + at / 100 if over else 1 - at / 100, int(over), "leads" if over else "helps"))
    return rows + [("", "white", 1.5, 1, "leads")] * 8 + [("other", "asian", 1.5, 0, "helps")] * 7


def csv_bytes() -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows_of_the_scored_example())
    return out.getvalue().encode()


def applicants(cast: Any, **changes: Any) -> Any:
    """The example's people as a registered dataset."""
    from tests import worlds

    return worlds.a_dataset(cast, data=csv_bytes(), roles=COLUMNS, purpose="historical", **changes)


def stored_audit(cast: Any, version: Any, dataset: Any, **changes: Any) -> Any:
    """Evidence with a report's real bytes, without a worker: for pages, within a test's transaction."""
    from fairness.bias import canonical_bytes
    from fairness.ll144.asking import asked
    from fairness.ll144.report import ll144_report
    from fairness.services import LL144, title_of
    from registry import storage
    from registry.models import Evidence
    from registry.services import add_evidence

    with storage.local(dataset.artifact) as data:
        report = ll144_report(data, asked(**ASKED | changes))
    kept = storage.put([canonical_bytes(report)], limit=10**8)
    return add_evidence(
        version, kind=LL144, title=title_of(LL144, "recorded", dataset), stored=kept, filename="ll144.json",
        media_type="application/json", provenance=Evidence.Provenance.COMPUTED, produced_by=cast.developer,
        dataset=dataset, summary={"source": "recorded", "verdict": "", "sentence": report["result"]["sentence"]},
    )  # fmt: skip
