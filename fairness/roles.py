"""Which column of a dataset plays which part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairness.problems import DataProblem
from registry.roles import OUTCOMES

ONE = ("prediction", "score", "weight", "cluster", "exclusion")


@dataclass(frozen=True)
class Roles:
    label: str
    sensitive: tuple[str, ...]
    features: tuple[str, ...] = ()
    prediction: str | None = None
    score: str | None = None
    weight: str | None = None
    cluster: str | None = None
    exclusion: str | None = None
    # Probabilities of belonging to the groups of one attribute that nobody knows.
    membership: tuple[str, ...] = ()

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any]) -> Roles:
        def names(key: str) -> tuple[str, ...]:
            value: Sequence[str] | str = given.get(key) or ()
            return (value,) if isinstance(value, str) else tuple(value)

        return cls(
            label=str(given["label"]),
            sensitive=names("sensitive"),
            features=names("features"),
            prediction=given.get("prediction") or None,
            score=given.get("score") or None,
            weight=given.get("weight") or None,
            cluster=given.get("cluster") or None,
            exclusion=given.get("exclusion") or None,
            membership=names("membership"),
        )

    @classmethod
    def from_columns(cls, parts: Mapping[str, str], features: Sequence[str] = (), *, labelled: bool = True) -> Roles:
        """From {column: part}; `features` is the order in which the model was trained, else that of the columns.

        The label is the outcome, of whatever kind. Raises DataProblem when there is more than one, or none while one is
        needed (`labelled`); else the label is then "".
        """
        by_part: dict[str, list[str]] = {}
        for column, part in parts.items():
            # A score that is declared as a probability was checked for that when the dataset was registered.
            part = "score" if part == "probability" else "label" if part in OUTCOMES else part
            by_part.setdefault(part, []).append(column)
        for part in ("label", *ONE):
            if len(by_part.get(part, [])) > 1:
                raise DataProblem(
                    "role_twice",
                    f"Two columns are marked as {part}: {', '.join(by_part[part])}. Mark one.",
                    by_part[part][1],
                )
        if labelled and "label" not in by_part:
            raise DataProblem("label_missing", "No column is marked as the label. Mark the one that holds the outcome.")
        one = {part: by_part.get(part, [None])[0] for part in ("label", *ONE)}
        return cls.from_mapping(
            {
                **one,
                "label": one["label"] or "",
                "sensitive": by_part.get("sensitive"),
                "features": features or by_part.get("feature"),
                "membership": by_part.get("membership"),
            }
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "sensitive": list(self.sensitive),
            "features": list(self.features),
            "prediction": self.prediction,
            "score": self.score,
            "weight": self.weight,
            # Parts that came later are left out where no column plays them, so that earlier inputs keep their digests.
            **({"cluster": self.cluster} if self.cluster else {}),
            **({"exclusion": self.exclusion} if self.exclusion else {}),
            **({"membership": list(self.membership)} if self.membership else {}),
        }
