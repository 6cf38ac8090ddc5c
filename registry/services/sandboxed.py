"""What the sandboxes said lately: the pages of one registration ask two or three times about the same bytes."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any

from registry import storage

MOST_ANSWERS = 64
MOST_CHARACTERS = 1 << 18  # of an answer that is kept; a table of thousands of columns is read again

answers: OrderedDict[Hashable, str] = OrderedDict()
lock = threading.Lock()


def asked(artifact: storage.HasDigest, question: Hashable, ask: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
    """The answer of `ask` to a question about an artifact's bytes, as plain JSON; asked once for the same bytes.

    The bytes are hashed every time. What `ask` raises is not kept. Raises Refusal when the stored bytes are damaged.
    """
    key = (artifact.digest, question)
    with storage.local(artifact) as path:
        with lock:
            said = answers.pop(key, None)
        if said is None:
            said = json.dumps(ask(path))
    if len(said) <= MOST_CHARACTERS:
        with lock:
            answers[key] = said
            while len(answers) > MOST_ANSWERS:
                answers.popitem(last=False)
    plain: dict[str, Any] = json.loads(said)
    return plain
