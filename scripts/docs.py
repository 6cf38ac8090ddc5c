"""Writes the tables of docs/permissions.md and docs/events.md from the code: `python -m scripts.docs`.

A table stands between `<!-- table: name -->` and `<!-- end -->`; the words around it are written by hand.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("permissions.md", "events.md")
APPS = ("accounts", "audits", "registry", "fairness", "approvals", "inference", "notifications", "jobs", "ledger")
PLACE = re.compile(r"(<!-- table: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *map(list, rows)]
    return (
        "\n"
        + "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
        + "\n"
    )


def load() -> None:
    """Import every service, so that the register of acts is whole."""
    for app in APPS:
        for path in sorted((ROOT / app).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if "@governed" in path.read_text(encoding="utf-8"):
                importlib.import_module(module)


def permissions() -> str:
    """What each permission allows, and which roles have it."""
    from accounts.catalogue import EVERYBODY, PERMISSIONS, ROLES
    from ledger.actors import ANONYMOUS

    def held(name: str) -> str:
        if name in EVERYBODY:
            return "everybody with an account, for themselves"
        if ANONYMOUS.has_perm(name):
            return "anybody"
        return ", ".join(title for title, given in ROLES.values() if name in given) or "the portal itself"

    rows = ([f"`{name}`", sentence, held(name)] for name, sentence in PERMISSIONS.items())
    return table(("Permission", "Allows to", "Roles"), rows)


def roles() -> str:
    """What each role may do."""
    from accounts.catalogue import PERMISSIONS, ROLES

    rows = ([name, f"`{slug}`", "; ".join(PERMISSIONS[one] for one in given)] for slug, (name, given) in ROLES.items())
    return table(("Role", "In the API", "May"), rows)


def endpoints() -> str:
    """The permission each API operation needs."""
    from django.urls import URLResolver, get_resolver

    def walk(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Any]]:
        for pattern in resolver.url_patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern, path)
            elif path.startswith(("api/", "log/")):
                yield path, getattr(pattern.callback, "cls", None)

    rows = [
        [f"`{method} /{re.sub('<[a-z]+:', '<', path)}`", f"`{needed}`" if needed else "being signed in"]
        for path, view in walk(get_resolver(), "")
        for method, needed in getattr(view, "permissions", {}).items()
    ]
    return table(("Operation", "Needs"), sorted(rows))


def events() -> str:
    """Each event, what it says, and the permission of the act behind it."""
    from audits.reading import sentence
    from ledger.door import ACTS

    load()
    spoken = {None: "nothing that was there before", "of": "what the file belongs to"}
    rows = {
        (act.event, act.permission, spoken.get(act.on) or str(act.on))
        for act in ACTS.values()
        if act.service.partition(".")[0] in APPS
    }
    lines = ([f"`{event}`", sentence(event), on.replace("_", " "), f"`{needed}`"] for event, needed, on in sorted(rows))
    return table(("Event", "Shown as", "Acts on", "Permission"), lines)


TABLES = {"permissions": permissions, "roles": roles, "endpoints": endpoints, "events": events}


def written(text: str) -> str:
    """A page with its tables as the code has them now."""
    return PLACE.sub(lambda place: f"{place[1]}{TABLES[place['name']]()}{place[3]}", text)


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    os.environ.setdefault("COUNTERSIGN_MODE", "test")
    os.environ.setdefault("SECRET_KEY", "nothing is signed here")
    os.environ.setdefault("DATABASE_URL", "postgres:///nothing-is-connected-to")
    django.setup()
    for name in PAGES:
        page = ROOT / "docs" / name
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
