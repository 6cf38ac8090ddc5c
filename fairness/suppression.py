"""Which groups of a table are withheld, so that a small one can neither be read nor computed from what is shown.

A table is counts of rows by group, where a group is the values of one attribute or of several. Groups under a size are
withheld, and so many others that no withheld count follows by adding and subtracting from the rest of the table, from
the tables of fewer attributes and from the total, all of which are taken as published under the same pattern. The
pattern of a table depends on its counts alone, so it is the same in every report on the same rows, and two versions
cannot be subtracted. On suppression in tables see Willenborg and de Waal, Elements of Statistical Disclosure Control
(2001).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

Group = tuple[str, ...]
Groups = frozenset[Group]


@dataclass(frozen=True)
class Pattern:
    """`hidden` groups, and sets of groups whose sums are known from what is shown."""

    hidden: Groups
    lines: tuple[Groups, ...]

    @property
    def known(self) -> list[Groups]:
        """What is known of hidden groups only: shown ones can be subtracted."""
        return [found for line in self.lines if (found := line & self.hidden)]


def pattern(counts: Mapping[Group, int], least: int) -> Pattern:
    """The groups of a table to withhold, where a group of fewer than `least` rows is small.

    All groups hidden means that the table is left out. Groups without rows are not in `counts`.
    """
    width = len(next(iter(counts)))
    if not width:
        return Pattern(frozenset(), ())
    hidden = {group for group, rows in counts.items() if rows < least}
    lines: list[Groups] = []
    for axis in range(width):
        margin = summed(counts, axis)
        above = pattern(margin, least)
        hidden |= {group for group in counts if without(group, axis) in above.hidden}
        shown = [frozenset({group}) for group in margin if group not in above.hidden]
        lines += [lifted(counts, axis, one) for one in (*shown, *above.known)]
    while (more := exposed(counts, hidden, lines, least)) is not None:
        hidden.add(more)
    return Pattern(frozenset(hidden), tuple(lines))


def summed(counts: Mapping[Group, int], axis: int) -> dict[Group, int]:
    """The table of all attributes but one."""
    found: dict[Group, int] = {}
    for group, rows in counts.items():
        key = without(group, axis)
        found[key] = found.get(key, 0) + rows
    return found


def without(group: Group, axis: int) -> Group:
    return group[:axis] + group[axis + 1 :]


def lifted(counts: Mapping[Group, int], axis: int, margin: Collection[Group]) -> Groups:
    """The groups of a table that make up groups of its margin."""
    return frozenset(group for group in counts if without(group, axis) in margin)


def exposed(counts: Mapping[Group, int], hidden: set[Group], lines: list[Groups], least: int) -> Group | None:
    """The next group to withhold for the sake of those that are, None where they are safe or nothing is left."""
    shown = [group for group in sorted(counts, key=lambda one: (counts[one], one)) if group not in hidden]
    if not hidden or not shown:
        return None
    for line in lines:
        within = line & hidden
        # What is left of a line when the shown groups are taken away must not be small itself.
        if within and sum(counts[group] for group in within) < least:
            return next(group for group in shown if group in line)
    found = computable(sorted(hidden), [line & hidden for line in lines])
    if not found:
        return None
    # The line with the fewest withheld groups first: there one more is company.
    near = sorted((line for line in lines if not line.isdisjoint(found)), key=lambda line: len(line & hidden))
    return next((one for line in near for one in shown if one in line), shown[0])


def computable(groups: list[Group], known: list[Groups]) -> frozenset[Group]:
    """The groups whose counts follow from the known sums: those whose unit vector lies in the span of the sums."""
    sums = np.array([[float(group in line) for group in groups] for line in known])
    onto = np.linalg.pinv(sums) @ sums
    return frozenset(group for at, group in enumerate(groups) if onto[at, at] > 1 - 1e-9)
