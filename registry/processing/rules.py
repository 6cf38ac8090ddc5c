"""What a record of processing has to say. Plain values in, plain values out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

# GDPR, Article 6(1), and what needs none of it.
BASES: dict[str, str] = {
    "none": "Not personal data",
    "6.1.a": "Consent: Article 6(1)(a) GDPR",
    "6.1.b": "A contract with the person: Article 6(1)(b) GDPR",
    "6.1.c": "A legal obligation: Article 6(1)(c) GDPR",
    "6.1.d": "Vital interests: Article 6(1)(d) GDPR",
    "6.1.e": "A task in the public interest, or official authority: Article 6(1)(e) GDPR",
    "6.1.f": "Legitimate interests: Article 6(1)(f) GDPR",
}
# GDPR, Article 9(2); sex and age, for example, are no special category.
CONDITIONS: dict[str, str] = {
    "none": "No special category of personal data is in it",
    "9.2.a": "Explicit consent: Article 9(2)(a) GDPR",
    "9.2.b": "Employment, social security and social protection law: Article 9(2)(b) GDPR",
    "9.2.c": "Vital interests: Article 9(2)(c) GDPR",
    "9.2.d": "Members of a not-for-profit body: Article 9(2)(d) GDPR",
    "9.2.e": "Made public by the person: Article 9(2)(e) GDPR",
    "9.2.f": "Legal claims, or courts: Article 9(2)(f) GDPR",
    "9.2.g": "Substantial public interest, by law: Article 9(2)(g) GDPR",
    "9.2.h": "Health or social care, or occupational medicine: Article 9(2)(h) GDPR",
    "9.2.i": "Public health: Article 9(2)(i) GDPR",
    "9.2.j": "Archiving, research or statistics: Article 9(2)(j) GDPR",
}
OPEN_TO: dict[str, str] = {
    "team": "Whoever may open rows in the team",
    "named": "Of these, only the people named",
}
LONGEST_DAYS = 36_500


@dataclass(frozen=True)
class Fault:
    """What is wrong with a record: a stable code, a sentence, and the field at fault."""

    code: str
    sentence: str
    field: str


def last_day(keep_until: date | None, keep_days: int | None, registered: date) -> date | None:
    """The last day on which the rows are kept; None where no end is set. A period counts from registration."""
    return registered + timedelta(days=keep_days) if keep_days is not None else keep_until


def fault_of(given: Mapping[str, Any], *, sensitive: bool, registered: date, today: date) -> Fault | None:
    """The first fault. `given` has basis, condition, keep_until, keep_days, phi, open_to and readers."""
    if given["basis"] not in BASES:
        return Fault("basis_unknown", f"The lawful basis is one of: {', '.join(BASES)}.", "basis")
    if given["condition"] and given["condition"] not in CONDITIONS:
        return Fault("condition_unknown", f"The condition is one of: {', '.join(CONDITIONS)}.", "condition")
    personal = given["basis"] != "none"
    if personal and sensitive and not given["condition"]:
        sentence = (
            "The dataset has sensitive attributes. Say which condition of Article 9(2) GDPR allows their use, or that "
            "none of them is a special category."
        )
        return Fault("condition_missing", sentence, "condition")
    if given["phi"] and not personal:
        sentence = "Protected health information is personal data. Give its lawful basis, or take the mark off."
        return Fault("phi_is_personal", sentence, "phi")
    if given["open_to"] not in OPEN_TO:
        return Fault("readers_unknown", f"Rows are open to one of: {', '.join(OPEN_TO)}.", "open_to")
    if bool(given["readers"]) != (given["open_to"] == "named"):
        sentence = "Name who may open rows, or leave rows to whoever may open them in the team."
        return Fault("readers_missing", sentence, "readers")
    return _retention_at_fault(given["keep_until"], given["keep_days"], personal, registered, today)


def _retention_at_fault(
    until: date | None, days: int | None, personal: bool, registered: date, today: date
) -> Fault | None:
    if until is not None and days is not None:
        return Fault("retention_twice", "Give a day or a number of days, not both.", "keep_days")
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        return Fault("retention_invalid", f"Keep the rows for 1 to {LONGEST_DAYS:,} days.", "keep_days")
    end = last_day(until, days, registered)
    if end is None:
        if not personal:
            return None
        sentence = "Say how long the rows are kept: personal data are not kept longer than they are needed."
        return Fault("retention_missing", sentence, "keep_until")
    if end < today:
        sentence = f"The rows would have had to go on {end}. Choose today or a later day; they go when it is over."
        return Fault("retention_past", sentence, "keep_until" if days is None else "keep_days")
    return None
