"""Bias reports that policies want in a frame of theirs, each with the address that fills in the form for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from approvals import workflow
from approvals.bound import bindings, governing
from approvals.dossier import Dossier
from approvals.models import PolicyVersion
from fairness.asking import address
from registry.models import Dataset, Version


@dataclass(frozen=True)
class Offer:
    """A report that would count as evidence for `policy`; `words` say its frame."""

    policy: str
    title: str
    url: str
    words: list[str]
    purposes: tuple[str, ...]

    def on(self, dataset: Dataset | None) -> str:
        """The address with this dataset chosen, where its rows are of a kind that counts."""
        fits = dataset is not None and (not self.purposes or dataset.purpose in self.purposes)
        return f"{self.url}&dataset={dataset.pk}" if dataset and fits else self.url


def offers_for(version: Version) -> list[Offer]:
    """What the policies want that govern a version for any use and in any environment."""
    bound = bindings()
    uses = dict.fromkeys(["", *sorted(each.use for each in bound if each.use)])
    policies = dict.fromkeys(governing(bound, version, use) for use in uses)
    return [
        offer
        for policy in policies
        for offer in offered(version, policy, (rule for rule in policy.rules.evidence if could_apply(rule, version)))
    ]


def offers_of(found: Dossier, standing: workflow.Standing) -> list[Offer]:
    """What a request lacks and a report asked for by its policy would be."""
    lacking = [rule for rule in found.policy.evidence if rule.slug in standing.weighed.gaps]
    return list(offered(found.request.version, found.request.policy_version, lacking))


def could_apply(rule: workflow.EvidenceRule, version: Version) -> bool:
    return not rule.when.tiers or version.model.tier in rule.when.tiers


def offered(version: Version, policy: PolicyVersion, rules: Iterable[workflow.EvidenceRule]) -> Iterator[Offer]:
    """Of these rules those with a frame, where the portal can compute the report."""
    for rule in rules:
        if rule.frame is None:
            continue
        what = rule.source or ("model" if version.bytes_here else "historical")
        if what == "model" and not version.bytes_here:
            continue
        yield Offer(
            str(policy), rule.title,
            address(
                version.pk, what=what, rules=[asdict(each) for each in rule.frame.rules],
                attributes={each.name: each.reference for each in rule.frame.attributes}, weights=rule.frame.weights,
                purposes=rule.frame.purposes, positive=rule.frame.positive,
            ),
            rule.frame.words, rule.frame.purposes,
        )  # fmt: skip
