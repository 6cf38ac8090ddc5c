"""Listing a population is an act: who took out what, how much of it, and which sample was drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from accounts.models import Team
from approvals.populations.drawing import digest_of, drawn
from approvals.populations.listing import KINDS, Row, rows_of
from ledger.actors import Actor
from ledger.door import Done, governed
from ledger.refusals import Denied, Refusal

MOST = 50_000
LARGEST_SAMPLE = 500
LONGEST_SEED = 100
METHOD = "Of all rows those with the lowest SHA-256 of “seed:id”, in that order."


@dataclass(frozen=True)
class Terms:
    """What was asked for; `team` None is the whole house. Without `sample` nothing is drawn."""

    kind: str
    first: date
    last: date
    team: Team | None = None
    sample: int = 0
    seed: str = ""

    def as_dict(self) -> dict[str, str | None]:
        return {
            "kind": self.kind, "first_day": self.first.isoformat(), "last_day": self.last.isoformat(),
            "team": self.team.slug if self.team else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Population:
    terms: Terms
    rows: Sequence[Row]
    digest: str
    sampled: Sequence[Row]

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def sampled_ids(self) -> list[str]:
        return [str(row["id"]) for row in self.sampled]


def checked(terms: Terms) -> None:
    if terms.kind not in KINDS:
        raise Refusal("unknown_kind", f"A population is one of: {', '.join(KINDS)}.", "kind")
    if terms.first > terms.last:
        raise Refusal("period_invalid", "The last day is before the first one. Turn them round.", "last")
    if not 0 <= terms.sample <= LARGEST_SAMPLE:
        raise Refusal("sample_too_large", f"A sample has at most {LARGEST_SAMPLE} rows. Ask for fewer.", "sample")
    if (terms.sample and not terms.seed.strip()) or len(terms.seed) > LONGEST_SEED or not terms.seed.isprintable():
        sentence = f"A sample needs a seed: any text of up to {LONGEST_SEED} characters, such as a number from dice."
        raise Refusal("seed_missing", sentence, "seed")


@governed(permission="audits.export_log", event="population.listed", on="team", lock=False)
def list_population(*, by: Actor, team: Team | None, terms: Terms) -> Done[Population]:
    """All rows of a population with their digest, and the sample; `team` is whose rows are asked for.

    Raises Refusal `unknown_kind`, `period_invalid`, `sample_too_large`, `seed_missing` or `population_too_large`.
    """
    assert team == terms.team
    checked(terms)
    kind = KINDS[terms.kind]
    # Somebody who may not see all of it would take a part for the whole.
    if not by.has_perm(kind.permission, team):
        raise Denied(kind.permission)
    found = [kind.row(each) for each in rows_of(kind, terms.first, terms.last, team)[: MOST + 1]]
    if len(found) > MOST:
        raise Refusal("population_too_large", f"There are more than {MOST:,} rows. Choose a shorter period.", "first")
    by_id = {str(row["id"]): row for row in found}
    sampled = [by_id[pk] for pk in drawn(terms.seed, by_id, terms.sample)]
    population = Population(terms, found, digest_of(found), sampled)
    facts = {
        **terms.as_dict(), "count": population.count, "sha256": population.digest,
        "sample": population.sampled_ids,
    }  # fmt: skip
    return Done(population, facts=facts, discloses={"seed": terms.seed} if terms.sample else {})
