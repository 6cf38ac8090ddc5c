"""Names in a conversation: `@Vera Lind`, found among the names of those who could be told."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

Piece = tuple[str, str]


def pieces(text: str, names: Collection[str]) -> list[Piece]:
    """A text cut where it names somebody: each piece with the name that it stands for, or ""."""
    return list(_cut(text, {name.casefold(): name for name in names if name.strip()}))


def named(text: str, names: Collection[str]) -> list[str]:
    """The names that a text mentions, each once, in its order."""
    return list(dict.fromkeys(name for _, name in pieces(text, names) if name))


def _cut(text: str, known: dict[str, str]) -> Iterator[Piece]:
    # The longest first: where there is an Ann Lee and an Ann Lee Roth, the latter is meant by her whole name.
    wanted = "|".join(re.escape(name) for name in sorted(known.values(), key=len, reverse=True))
    done = 0
    for match in re.finditer(rf"(?<![\w@])@({wanted})(?!\w)", text, re.IGNORECASE) if wanted else ():
        name = known.get(match[1].casefold())
        if name is None:
            continue
        if match.start() > done:
            yield text[done : match.start()], ""
        yield match[0], name
        done = match.end()
    if done < len(text):
        yield text[done:], ""
