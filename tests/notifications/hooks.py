"""Webhooks with a receiver of their own, and the signature as the specification has it, written anew."""

from __future__ import annotations

import base64
import hashlib
import hmac
import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = "https://93.184.215.14/in?key=part-of-the-address"


def a_webhook(cast: Any, url: str = OUTSIDE, **changes: Any) -> tuple[Any, str]:
    """By the platform administrator, for team Credit unless told otherwise; and its secret."""
    from notifications.webhooks.services import add_webhook

    given = {"team": cast.team, "name": "Pipeline", "kinds": ["approved", "your_turn"], **changes}
    made: tuple[Any, str] = add_webhook(by=cast.platform_admin, url=url, **given)
    return made


def signed_by(secret: str, asked: Any) -> bool:
    """As a receiver would find out, from the words of the specification and nothing of the portal's."""
    headers = asked.headers
    content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), asked.body])
    key = base64.b64decode(secret.split("_", 1)[1])
    wanted = "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return wanted in headers["webhook-signature"].split(" ")


def documented(folder: Path) -> Any:
    """The function that docs/notifications.md gives to receivers, as it is printed there."""
    page = (ROOT / "docs" / "notifications.md").read_text(encoding="utf-8")
    (folder / "receiver.py").write_text(page.partition("```python\n")[2].partition("```")[0], encoding="utf-8")
    return runpy.run_path(str(folder / "receiver.py"))["verified"]
