"""What an import would make, and what is wrong with each row, said before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet
from django.utils.text import slugify

from accounts.models import Grant, Team, User
from ledger.refusals import Refusal
from registry import storage
from registry.importing.reading import FIELDS, Line, NotATable, Table, checked_mapping, read_table
from registry.models import Artifact, Model
from registry.services.inputs import words

LONGEST = {"name": 120, "purpose": 4000}
LONGEST_SLUG = 50


@dataclass(frozen=True)
class Fault:
    """`row` as a spreadsheet numbers it, `column` as the file calls it."""

    row: int
    column: str
    sentence: str


@dataclass(frozen=True)
class Planned:
    """One model to be. `slug` is empty where it is made from the name."""

    row: int
    name: str
    purpose: str
    owner: User
    slug: str


@dataclass
class Plan:
    models: list[Planned] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def table_of(artifact: Artifact) -> Table:
    """Raises Refusal for a file that is no table, or is damaged."""
    try:
        return read_table(storage.read(artifact))
    except NotATable as problem:
        raise Refusal(problem.code, problem.sentence, problem.field) from problem


def planned(table: Table, mapping: Mapping[str, str], team: Team, by: User) -> Plan:
    """Three queries, however many rows. Raises Refusal where the columns do not fit."""
    try:
        columns = checked_mapping(table.columns, mapping)
    except NotATable as problem:
        raise Refusal(problem.code, problem.sentence, problem.field) from problem
    return Planner(table, columns, team, by).plan()


def owners(team: Team) -> QuerySet[User]:
    """People who may change what is recorded of the team's models: an owner answers for that."""
    held = Grant.objects.active().filter(Q(team=None) | Q(team=team))
    able = held.filter(role__permissions__contains=["registry.edit_model"])
    found: QuerySet[User] = User.objects.filter(is_active=True, kind=User.Kind.PERSON, pk__in=able.values("user"))
    return found


class Planner:
    def __init__(self, table: Table, columns: Mapping[str, str], team: Team, by: User) -> None:
        self.table, self.columns, self.team, self.by = table, columns, team, by
        self.people = {person.email.lower(): person for person in owners(team)}
        self.names = {name.lower() for name in Model.objects.filter(team=team).values_list("name", flat=True)}
        wanted = [self.value(line, "slug") for line in table.lines if "slug" in columns]
        self.slugs = set(Model.objects.filter(slug__in=wanted).values_list("slug", flat=True))
        self.seen: dict[tuple[str, str], int] = {}
        self.found = Plan()

    def value(self, line: Line, name: str) -> str:
        return self.table.value(line, self.columns[name]) if name in self.columns else ""

    def fault(self, line: Line, name: str, sentence: str) -> None:
        self.found.faults.append(Fault(line.number, self.columns[name], sentence))

    def plan(self) -> Plan:
        for line in self.table.lines:
            before = len(self.found.faults)
            if len(line.cells) > len(self.table.columns):
                sentence = "This row has more cells than there are columns. Put cells with commas into quotes."
                self.found.faults.append(Fault(line.number, self.table.columns[-1], sentence))
            name, purpose = self.text(line, "name"), self.text(line, "purpose")
            owner, slug = self.owner(line), self.slug(line)
            self.once(line, "name", name, self.names, f"{self.team} has a model called “{name}” already.")
            self.once(line, "slug", slug, self.slugs, f"Another model has the short name “{slug}” already.")
            if len(self.found.faults) == before:
                self.found.models.append(Planned(line.number, name, purpose, owner, slug))
        return self.found

    def text(self, line: Line, name: str) -> str:
        try:
            return words(self.value(line, name), name, most=LONGEST[name])
        except Refusal as refusal:
            self.fault(line, name, refusal.sentence)
            return ""

    def owner(self, line: Line) -> User:
        """Whoever is named by mail address; whoever imports, where nobody is."""
        wanted = self.value(line, "owner")
        if not wanted:
            return self.by
        if person := self.people.get(wanted.lower()):
            return person
        advice = "Write the mail address of somebody with such a role, or leave the cell empty to own it yourself."
        self.fault(line, "owner", f"“{wanted}” is nobody who looks after this team's models. {advice}")
        return self.by

    def slug(self, line: Line) -> str:
        wanted = self.value(line, "slug")
        if wanted and wanted != slugify(wanted)[:LONGEST_SLUG]:
            advice = f"It has lower-case letters, digits and dashes only, at most {LONGEST_SLUG}."
            self.fault(line, "slug", f"“{wanted[:80]}” is no short name. {advice}")
            return ""
        return wanted

    def once(self, line: Line, name: str, value: str, taken: set[str], sentence: str) -> None:
        """Say where a value is taken already, here or in a row above."""
        key = value.lower()
        if not value:
            return
        if key in taken:
            self.fault(line, name, f"{sentence} Take the row out, or change it.")
        elif (above := self.seen.setdefault((name, key), line.number)) != line.number:
            self.fault(line, name, f"Row {above} has the same {FIELDS[name][0].lower()}. Change one of them.")
