"""From rows to counts: how many people of each category there are, and what the tool gave them.

Only task bodies call this. Medians come from the two middle scores of the sorted file, so they are exact, and no sum
depends on the order of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairness.dataset import Source
from fairness.ll144.asking import Ask
from fairness.ll144.rules import NOBODY, Count, Known
from fairness.naming import canonical
from fairness.problems import DataProblem
from registry.onnx.decision import DecisionRule
from registry.onnx.facts import Limits
from registry.onnx.feeding import wanted_columns
from registry.onnx.sandbox import Scorer

# Groups into which a tool puts people; each has three tables.
MOST_GROUPS = 20
MOST_VALUES = 200


@dataclass
class Tally:
    """Counts by outcome, and by sex and race. `median` has its value, and how many scores lie above, at and below it.

    `taken_as_unknown` are values that are no category, with their rows, by kind.
    """

    outcomes: dict[str, dict[tuple[Known, Known], Count]]
    median: dict[str, float | int] | None = None
    taken_as_unknown: dict[str, dict[str, int]] = field(default_factory=lambda: {"sex": {}, "race": {}})


@dataclass(frozen=True)
class Model:
    """The bytes to run where the outcomes are made here."""

    path: Path
    decision: Mapping[str, Any]
    features: tuple[str, ...]
    limits: Limits | None = None


def tally(source: Source, ask: Ask, model: Model | None, step: Callable[[int], None]) -> Tally:
    """Raises DataProblem, ModelProblem, and what `step(rows done)` raises to stop."""
    source.need([ask.sex, ask.race, *([ask.outcome] if ask.outcome else [])])
    if model is None:
        if ask.kind == "scoring":
            source.numeric([ask.outcome])
            outcome = source.number(ask.outcome)
        else:
            source.complete([ask.outcome])
            outcome = source.table[ask.outcome]
        table = source.table.select(s=source.table[ask.sex], r=source.table[ask.race], o=outcome)
        return scored(source.con, table, ask) if ask.kind == "scoring" else grouped(source.con, table, ask)
    with made_here(source, ask, model, step) as (con, table):
        return scored(con, table, ask) if ask.kind == "scoring" else grouped(con, table, ask)


@contextmanager
def made_here(source: Source, ask: Ask, model: Model, step: Callable[[int], None]) -> Any:
    """A table of sex, race and what the model gives each row: a score, or whether its decision rule says yes."""
    import ibis
    import pyarrow as pa

    rule = DecisionRule.from_mapping(model.decision)
    parts, done = [], 0
    with Scorer(model.path, model.limits, len(model.features) or None) as scorer:
        columns = wanted_columns(scorer.facts.inputs, source.columns, model.features)
        text = {each.name for each in scorer.facts.inputs if each.type == "tensor(string)"}
        numbers, words = [c for c in columns if c not in text], [c for c in columns if c in text]
        source.numeric(numbers)
        source.complete(words)
        wanted = {"s": source.table[ask.sex], "r": source.table[ask.race]}
        wanted |= {f"n{i}": source.number(name) for i, name in enumerate(numbers)}
        wanted |= {f"w{i}": source.table[name].cast("string") for i, name in enumerate(words)}
        for batch in source.batches(wanted):
            given = {name: batch.column(f"n{i}").to_numpy(zero_copy_only=False) for i, name in enumerate(numbers)}
            given |= {name: np.array(batch.column(f"w{i}").to_pylist(), dtype=object) for i, name in enumerate(words)}
            output = scorer.run(given, rule.output, model.features)
            made = rule.scores(output) if ask.kind == "scoring" else rule.decide(output)
            parts.append(pa.table({"s": batch.column("s"), "r": batch.column("r"), "o": pa.array(made)}))
            done += batch.num_rows
            step(done)
    con = ibis.duckdb.connect(threads=1)
    try:
        con.con.register("made", pa.concat_tables(parts))
        yield con, con.table("made")
    finally:
        con.disconnect()


def grouped(con: Any, table: Any, ask: Ask) -> Tally:
    rows = found(con, table.group_by(["s", "r", "o"]).aggregate(n=table.count()))
    names = sorted({canonical(row["o"]) for row in rows})
    if ask.kind == "classification":
        if len(names) > MOST_GROUPS:
            sentence = (
                f"“{ask.outcome}” has {len(names):,} values; at most {MOST_GROUPS} groups are calculated. Take another."
            )
            raise DataProblem("too_many_categories", sentence, ask.outcome)
        wanted = {name: {name} for name in names}
    else:
        yes = set(ask.selected) or {"true"}
        if ask.selected and not yes & set(names):
            sentence = (
                f"“{ask.outcome}” never holds {' or '.join(ask.selected)}, so nobody was selected. It holds: "
                f"{', '.join(names[:6])}."
            )
            raise DataProblem("positive_class_missing", sentence, ask.outcome)
        wanted = {"selected": yes}
    counted = Tally({name: {} for name in wanted})
    for row in rows:
        key = category_of(row, ask, counted, row["n"])
        for name, values in wanted.items():
            yes_of_row = row["n"] if canonical(row["o"]) in values else 0
            add(counted.outcomes[name], key, Count(row["n"], yes_of_row))
    return counted


def scored(con: Any, table: Any, ask: Ask) -> Tally:
    total = int(con.to_pyarrow(table.count()).as_py())
    middle = table.select("o").order_by("o").limit(2 - total % 2, offset=(total - 1) // 2)
    median = sum(row["o"] for row in found(con, middle)) / (2 - total % 2)
    above, at = (table.o > median).sum(), (table.o == median).sum()
    rows = found(con, table.group_by(["s", "r"]).aggregate(n=table.count(), above=above, at=at))
    counted = Tally({"above": {}})
    over, level = sum(int(row["above"]) for row in rows), sum(int(row["at"]) for row in rows)
    counted.median = {"value": median, "above": over, "at": level, "below": total - over - level}
    for row in rows:
        add(counted.outcomes["above"], category_of(row, ask, counted, row["n"]), Count(row["n"], int(row["above"])))
    return counted


def found(con: Any, expression: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = con.to_pyarrow(expression).to_pylist()
    return rows


def category_of(row: Mapping[str, Any], ask: Ask, counted: Tally, people: int) -> tuple[Known, Known]:
    sex, race = canonical(row["s"]), canonical(row["r"])
    for kind, value, values in (("sex", sex, ask.sex_values), ("race", race, ask.race_values)):
        if value not in values:
            seen = counted.taken_as_unknown[kind]
            seen[value] = seen.get(value, 0) + people
            if len(seen) > MOST_VALUES:
                column = ask.sex if kind == "sex" else ask.race
                sentence = f"“{column}” has over {MOST_VALUES} values that are in no category. Choose another column."
                raise DataProblem("too_many_categories", sentence, column)
    return ask.sex_values.get(sex), ask.race_values.get(race)


def add(counts: dict[tuple[Known, Known], Count], key: tuple[Known, Known], count: Count) -> None:
    counts[key] = counts.get(key, NOBODY) + count
