"""How values are written on pages: states, digests, times and numbers. Plain values in, plain text out."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

THIN = "\u202f"
MINUS = "\u2212"


class State(NamedTuple):
    """How a state looks: `tone` is one of ok, no, wait, off, info; `icon` a symbol of static/icons.svg."""

    tone: str
    icon: str
    word: str


def _states(tone: str, icon: str, codes: str, **words: str) -> dict[str, State]:
    named = {code: State(tone, icon, humanise(code)) for code in codes.split()}
    return named | {code: State(tone, icon, word) for code, word in words.items()}


def humanise(code: str) -> str:
    """`in_review` → `In review`, `ll144_audit` → `LL144 audit`."""
    words = code.replace("_", " ").replace("-", " ").replace("ll144", "LL144").strip()
    return words[:1].upper() + words[1:]


STATES: dict[str, State] = {
    **_states(
        "ok", "ok", "approved active met allowed succeeded within verified sealed delivered closed accepted sent"
    ),
    **_states("ok", "ok", "confirmed healthy carried_out", ok="OK", passed="Passed", within_bounds="Within bounds"),
    **_states("ok", "key", "", taken="Taken"),
    **_states("ok", "play", "deployed serving live"),
    **_states("wait", "ok", "approve_with_conditions", conditionally_approved="Approved with conditions"),
    **_states("wait", "wait", "in_review in_validation waiting pending expiring retrying scheduled due_soon proposed"),
    **_states("wait", "wait", "emergency held collected"),
    **_states("wait", "wait", "", requested="Waits for approval"),
    **_states("wait", "pen", "changes_requested request_changes"),
    **_states("wait", "lock", "locked blocked"),
    **_states("wait", "warn", "outdated inconclusive unverified open medium", too_few="Too few to test"),
    **_states("no", "no", "rejected reject refused failed denied not_met", no_approval="No approval"),
    **_states("no", "warn", "outside overdue expired critical high unhealthy", outside_bounds="Outside bounds"),
    **_states("no", "stop", "revoked suspended quarantined"),
    **_states("info", "info", "submitted registered answered published in_use", computed_here="Computed here"),
    **_states("info", "refresh", "running stopping processing uploading sending"),
    **_states("info", "wait", "queued"),
    **_states("off", "off", "draft withdrawn declined retired cancelled superseded stopped deactivated low none"),
    **_states("off", "off", "not_required inactive paused archived disabled", abstain="Abstained", unknown="Not known"),
    **_states("off", "off", "lapsed"),
}


def state_of(code: str) -> State:
    """The look of a state's code; an unknown code is neutral and says its own word."""
    return STATES.get(code) or State("off", "off", humanise(code) or "Not known")


def full_digest(value: str | bytes | memoryview) -> str:
    """`sha256:` and 64 hex digits, from text with or without the prefix, or from 32 raw bytes."""
    text = value if isinstance(value, str) else bytes(value).hex()
    return text if ":" in text or not text else f"sha256:{text}"


def short_digest(value: str | bytes | memoryview) -> str:
    """`sha256:1a2b…9f03`; what is already short stays whole."""
    algorithm, _, digits = full_digest(value).partition(":")
    return f"{algorithm}:{digits[:4]}…{digits[-4:]}" if len(digits) > 12 else f"{algorithm}:{digits}"


_STEPS = ((60, 1, "second"), (3600, 60, "minute"), (86400, 3600, "hour"), (30 * 86400, 86400, "day"))


def in_utc(moment: datetime) -> datetime:
    """A naive time is read as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def exact(moment: datetime) -> str:
    """`24 Nov 2026, 00:06:11 UTC`."""
    at = in_utc(moment)
    return f"{at.day} {at:%b %Y, %H:%M:%S} UTC"


def relative(moment: datetime, now: datetime) -> str:
    """`2 days ago`, `in 3 hours`; a date from 30 days on."""
    at = in_utc(moment)
    seconds = (in_utc(now) - at).total_seconds()
    size = abs(seconds)
    if size < 45:
        return "just now" if seconds >= 0 else "in a moment"
    for limit, unit, name in _STEPS:
        count = max(1, round(size / unit))
        if size < limit and count * unit < limit:
            amount = f"{count} {name}{'' if count == 1 else 's'}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return f"{at.day} {at:%b %Y}"


def length(seconds: float) -> str:
    """A duration with its two largest parts: `2 h 05 min`, `3.2 s`, `180 ms`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}{THIN}ms"
    if seconds < 60:
        return f"{seconds:.1f}{THIN}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{THIN}min {rest:02d}{THIN}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}{THIN}h {minutes:02d}{THIN}min"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours}{THIN}h"


def absent(value: object) -> bool:
    """Whether there is no number: None, not a number, or what a template makes of a name it does not know."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def number(value: float | Decimal | None, digits: int | None = None, *, sign: bool = False) -> str:
    """Thin spaces between thousands and a true minus; without `digits` floats show up to four significant places."""
    if value is None or absent(value):
        return "–"
    if isinstance(value, float) and math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if digits is None:
        text = f"{value:+,}" if isinstance(value, int) else _significant(value)
        text = text if isinstance(value, int) or value < 0 else f"+{text}"
    else:
        text = f"{value:+,.{digits}f}"
    positive, text = text[0] == "+", text[1:].replace(",", THIN)
    zero = not text.strip(f"0.{THIN}")
    if zero or (positive and not sign):
        return text
    return ("+" if positive else MINUS) + text


def _significant(value: float | Decimal) -> str:
    size = math.fabs(value)
    places = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(value: float | Decimal | None, digits: int = 1, *, sign: bool = False) -> str:
    """A fraction as `88.1 %`."""
    if value is None or absent(value) or not math.isfinite(value):
        return "–"
    return f"{number(value * 100, digits, sign=sign)}{THIN}%"


def interval(low: float | None, high: float | None, digits: int = 2, *, as_percent: bool = False) -> str:
    """`[0.82, 0.94]`; an end that is not known is a dash."""
    write = percent if as_percent else number
    return f"[{write(low, digits)}, {write(high, digits)}]"


def size_of(count: int) -> str:
    """Bytes in decimal units: `2.4 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f}{THIN}B" if unit == "B" else f"{amount:.1f}{THIN}{unit}"
        amount /= 1000
    return f"{amount:.1f}{THIN}TB"


def initials(name: str) -> str:
    """Up to two characters for a face: first letters of the first and last word, or a number's digits."""
    words = [word for word in name.replace(".", " ").replace("_", " ").split() if word]
    if not words:
        return "·"
    if len(words) == 1:
        return words[0][:2].upper()
    return (words[0][0] + words[-1][0]).upper()
