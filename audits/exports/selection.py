"""Which part of the log an export holds, as plain JSON that its row keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Filters by name or free text are personal: the log only holds their salted digests.
PERSONAL = ("actor", "text")


@dataclass(frozen=True)
class Selection:
    """`filters` are those of the log's page. `events` are beginnings of names and `objects` (type, id): any of each.

    `need` and `article` say what the export is to show and by which rule, `about` names the objects for people.
    """

    filters: Mapping[str, str] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    objects: tuple[tuple[str, str], ...] = ()
    need: str = ""
    article: str = ""
    about: str = ""

    @property
    def everything(self) -> bool:
        return not (self.filters or self.events or self.objects)

    def as_json(self) -> dict[str, Any]:
        """Only what is given, for the row."""
        given = {
            "filters": dict(self.filters), "events": list(self.events), "objects": [list(one) for one in self.objects],
            "need": self.need, "article": self.article, "about": self.about,
        }  # fmt: skip
        return {name: value for name, value in given.items() if value}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Selection:
        objects = tuple((str(kind), str(pk)) for kind, pk in given.get("objects", ()))
        return cls(
            dict(given.get("filters", {})), tuple(given.get("events", ())), objects, given.get("need", ""),
            given.get("article", ""), given.get("about", ""),
        )  # fmt: skip

    def as_facts(self) -> dict[str, Any]:
        """What the log says of it: no names, no free text, and of many objects only their number."""
        facts: dict[str, Any] = {name: value for name, value in self.filters.items() if name not in PERSONAL}
        if self.events:
            facts["events"] = list(self.events)
        if self.objects:
            kind, pk = self.objects[0]
            facts |= {"about": f"{kind} {pk}", "objects": len(self.objects)}
        return facts | {name: value for name in ("need", "article") if (value := getattr(self, name))}

    def as_disclosures(self) -> dict[str, str]:
        return {f"filter_{name}": value for name, value in self.filters.items() if name in PERSONAL}

    def in_words(self) -> list[tuple[str, str]]:
        """Label and value of whatever narrows it, for pages and the PDF."""
        words = [(LABELS.get(name, name), value) for name, value in self.filters.items()]
        if self.about:
            words.insert(0, ("About", self.about))
        if self.events:
            words.append(("Events", ", ".join(self.events)))
        return words


LABELS = {
    "actor": "Who", "event": "Event", "outcome": "Outcome", "object_type": "Object", "object_id": "Object id",
    "team": "Team", "since": "From (UTC)", "until": "To (UTC)", "text": "Text",
}  # fmt: skip
