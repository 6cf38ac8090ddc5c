"""What of a prediction is logged. Plain values in, plain values out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

LEVELS: dict[str, str] = {
    "none": "Nothing of inputs and outputs",
    "hashes": "Digests of the bodies alone",
    "sampled": "Inputs and outputs of a share of the predictions, digests of all",
    "full": "Inputs and outputs of all predictions",
}
MODES: dict[str, str] = {
    "fast": "Answers do not wait: at most a second's rows are lost if the gateway is killed",
    "strict": "An answer leaves only when its row is written",
}
LONGEST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class Terms:
    """`sample` is the share of predictions in percent whose inputs and outputs are kept at the level `sampled`."""

    level: str = "hashes"
    mode: str = "fast"
    sample: int = 1

    @property
    def strict(self) -> bool:
        return self.mode == "strict"

    def keeps_content(self, id: str) -> bool:
        return self.level == "full" or (self.level == "sampled" and sampled(id, self.sample))


@dataclass(frozen=True)
class Fault:
    """What is wrong with what was given: a stable code, a sentence, and the field at fault."""

    code: str
    sentence: str
    field: str


def sampled(id: str, percent: int) -> bool:
    """Whether a row is in the sample: told by its id alone, so anybody can say which rows had to be in it.

    The first four bytes of the SHA-256 of the id's sixteen bytes, a number modulo 100, are below the percentage.
    """
    return int.from_bytes(hashlib.sha256(bytes.fromhex(id.replace("-", ""))).digest()[:4]) % 100 < percent


def fault_of(level: str, mode: str, sample: int, days: int) -> Fault | None:
    """The first fault of an endpoint's terms."""
    if level not in LEVELS:
        return Fault("level_unknown", f"The level is one of: {', '.join(LEVELS)}.", "level")
    if mode not in MODES:
        return Fault("mode_unknown", f"The mode is one of: {', '.join(MODES)}.", "mode")
    if not 1 <= sample <= 99:
        return Fault("sample_invalid", "A sample is 1 to 99 percent. For all of them choose the level full.", "sample")
    if not 1 <= days <= LONGEST_DAYS:
        return Fault("days_invalid", f"Keep the rows for 1 to {LONGEST_DAYS:,} days.", "days")
    return None
