"""Manifests for people: their lines, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.text import slugify

from accounts.models import User
from approvals import workflow
from approvals.dossier import Dossier
from approvals.models import Decision, ReviewRequest, Revision
from ledger.prepared import Prepared


@dataclass(frozen=True)
class Shown:
    """One line of a manifest or of the gate box, as the partial templates read it."""

    name: str = ""
    value: str = ""
    digest: str = ""
    note: str = ""
    tone: str = ""
    url: str = ""
    state: str = ""
    title: str = ""
    text: str = ""
    who: str = ""
    # The end of its address on a request's page, where it is no line of the manifest.
    part: str = ""

    @property
    def anchor(self) -> str:
        return self.part or (f"line-{slugify(self.name)}" if self.name else "")


class Names:
    """Names of people by opaque id, in one query."""

    def __init__(self, *manifests: Mapping[str, Any]) -> None:
        said = {part for manifest in manifests for line in workflow.lines(manifest) for part in line.value.split(", ")}
        wanted = [part for part in said if len(part) == 36 and part.count("-") == 4]
        self.known = {str(user.opaque_id): user.name for user in User.objects.filter(opaque_id__in=wanted)}

    def __getitem__(self, opaque_id: str | None) -> str:
        name: str = self.known.get(opaque_id or "", opaque_id or "nobody")
        return name


def rule_in_words(rule: Mapping[str, Any]) -> str:
    """`yes where probabilities[1] ≥ 0.5`."""
    if rule.get("kind") == "threshold":
        return f"yes where {rule['output']}[{rule['class']}] ≥ {rule['at_least']}"
    if rule.get("kind") == "label":
        return f"yes where {rule['output']} is {rule['equals']}"
    if "rule" in rule:
        return rule_in_words(rule["rule"])
    if rule.get("kind") == "upstream":
        return "as the configuration that is pinned says"
    return ", ".join(f"{key} {value}" for key, value in rule.items())


def manifest_lines(
    manifest: Mapping[str, Any], *, digest: str = "", opened: Mapping[int, datetime] | None = None,
    of: ReviewRequest | None = None,
) -> list[Shown]:  # fmt: skip
    """A manifest for people, drawn from nothing but itself and the names.

    `opened` adds what the viewer has opened; `of`, the request, makes evidence a link that notes its opening.
    """
    names = Names(manifest)
    model, version, artifact = manifest["model"], manifest["version"], manifest["artifact"]
    untiered = "" if model["risk_tier_set_by"] else "not set by the second line, so it counts as high"
    shown = [
        Shown("model", f"{model['slug']}, version {version['number']}"),
        Shown("artifact", artifact["filename"], artifact["digest"]),
        Shown("decision rule", rule_in_words(manifest["decision_rule"])),
        Shown("environment", manifest["environment"]),
        Shown("use", manifest["use"]),
        Shown("risk tier", model["risk_tier"], note=untiered, tone="wait"),
        Shown("contributors", ", ".join(names[each] for each in version["contributors"])),
    ]
    for item in manifest["evidence"]:
        note = seen(item, opened) if opened is not None else ("", "")
        url = reverse("request-evidence", args=[of.pk, item["id"]]) if of else ""
        shown.append(Shown(f"evidence {item['id']}", evidence_words(item, names), item["digest"], *note, url=url))
    if not manifest["evidence"]:
        shown.append(Shown("evidence", "none", note="nothing was attached", tone="no"))
    shown += [
        Shown(f"dataset {each['id']}", f"{each['rows']:,} rows, {each['purpose'].replace('_', ' ')}", each["artifact"])
        for each in manifest["datasets"]
    ]
    shown += [*about_pins(manifest), *about_findings(manifest, names), *about_change(manifest)]
    policy = manifest["policy"]
    return [
        *shown,
        Shown("model card", "", manifest["card"]),
        Shown("policy", f"{policy['slug']} {policy['version']}", policy["digest"]),
        Shown("submitted by", f"{names[manifest['submitted_by']]}, revision {manifest['revision']}"),
        *([Shown("manifest", "", digest)] if digest else []),
    ]


def about_pins(manifest: Mapping[str, Any]) -> list[Shown]:
    """What format 3 adds: what is pinned of a model whose bytes are not here."""
    pinned = manifest.get("pinned")
    if pinned is None:
        return []
    texts = [Shown("provider", pinned["provider"], note="bytes not verified", tone="wait")]
    if pinned["upstream_version"]:
        texts.append(Shown("upstream version", pinned["upstream_version"]))
    if pinned["says"] != (pinned["upstream_version"] or ""):
        texts.append(Shown("upstream reports", pinned["says"], note="not what is pinned", tone="no"))
    digests = [Shown(name, "", pinned[name]) for name in ("image", "contract", "configuration") if pinned[name]]
    return [*texts, *digests]


def about_change(manifest: Mapping[str, Any]) -> list[Shown]:
    """What format 4 adds: how much is new, which says what the policy asks for."""
    told = manifest.get("material_change")
    if told is None:
        return []
    before = told["compared_with"]
    note = f"against version {before['version']}, request {before['request']}" if before else "nothing to compare with"
    lines = [Shown("material change", workflow.CHANGE_TITLES[told["kind"]], note=note)]
    if told["until"]:
        lines.append(Shown("holds no longer than", told["until"]))
    return lines


def about_findings(manifest: Mapping[str, Any], names: Names) -> list[Shown]:
    """What format 2 adds: findings and conditions that were open when it was frozen, and risks accepted then."""
    shown = [
        Shown(
            f"{kind} {each['id']}",
            ", ".join(filter(None, (each.get("severity"), f"due {each['due']}", names[each["owner"]]))),
            each["words"],
        )
        for kind, rows in (("finding", manifest.get("findings", ())), ("condition", manifest.get("conditions", ())))
        for each in rows
    ]
    return shown + [
        Shown(
            f"accepted risk {each['id']}", f"{each['target'].replace(':', ' ')}, until {each['until']}", each["digest"]
        )
        for each in manifest.get("risk_acceptances", ())
    ]


def evidence_words(item: Mapping[str, Any], names: Names) -> str:
    origin = "computed here" if item["provenance"] == "computed" else f"submitted by {names[item['produced_by']]}"
    verdict = f", {workflow.verdict_words(item['verdict'])}" if item["verdict"] else ""
    return f"{item['title']}{verdict}, {origin}"


def seen(item: Mapping[str, Any], opened: Mapping[int, datetime]) -> tuple[str, str]:
    """Note and tone: whether the viewer has opened this evidence from the request."""
    if at := opened.get(int(item["id"])):
        return f"opened by you on {at:%-d %b, %H:%M} UTC", ""
    return "not opened by you", "wait"


QUIET = {
    "request", "revision", "submitted_by", "format", "version.id", "version.number", "model.id", "obligations",
    "material_change.sections", "material_change.rests_on", "material_change.until", "material_change.compared_with",
    "material_change.compared_with.request", "material_change.compared_with.version",
    "material_change.compared_with.digest",
}  # fmt: skip
# What a reader looks for first: what it decides, then what the reports say; digests last, they nearly always differ.
FIRST = ("decision_rule", "environment", "use", "model", "verdict", "features", "version")


def comparable(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest with evidence named by kind and source, so that two versions' reports stand in one line."""
    counted: dict[str, int] = {}
    evidence = []
    for item in manifest["evidence"]:
        name = " ".join(filter(None, (item["kind"].replace("_", " "), item["source"])))
        counted[name] = counted.get(name, 0) + 1
        label = name if counted[name] == 1 else f"{name} {counted[name]}"
        evidence.append({"id": label, **{key: item[key] for key in ("verdict", "digest", "provenance")}})
    datasets = [{key: each[key] for key in ("artifact", "rows", "purpose")} for each in manifest["datasets"]]
    return {**manifest, "evidence": evidence, "datasets": datasets}


def changes(before: Revision, after: Revision) -> list[workflow.Change]:
    """What differs between two revisions, for people: without what differs between any two."""
    found = workflow.differences(comparable(before.manifest), comparable(after.manifest))
    names = Names(before.manifest, after.manifest)
    return [
        workflow.Change(words_of(each.name), named(each.before, names), named(each.after, names))
        for each in sorted(found, key=weight)
        if each.name not in QUIET and not each.name.endswith(".id")
    ]


def weight(change: workflow.Change) -> tuple[bool, int]:
    places = [place for place, word in enumerate(FIRST) if word in change.name]
    return change.is_digest, places[0] if places else len(FIRST)


def words_of(path: str) -> str:
    return path.replace("_", " ").replace(".", ": ").removeprefix("evidence: ").removeprefix("version: ")


def named(text: str | None, names: Names) -> str | None:
    return None if text is None else ", ".join(names.known.get(part, part) for part in text.split(", "))


@dataclass(frozen=True)
class Delta:
    """What changed since a revision that matters to the viewer."""

    title: str
    since: Revision
    changes: list[workflow.Change]


def deltas(found: Dossier, viewer: User) -> list[Delta]:
    """Since the viewer's own last signature, and since the last approved version of this model here."""
    request, latest = found.request, found.revision
    told: dict[int, Delta] = {}
    place = (request.version.model_id, request.environment, request.use)
    for own in SIGNED(viewer.pk, *place, latest.pk):
        title = f"What changed since you decided on {revision_words(own.revision, request)}"
        told[own.revision_id] = Delta(title, own.revision, changes(own.revision, latest))
    if before := since_approved(found):
        title = f"What changed since {approved_words(before)}"
        told.setdefault(before.pk, Delta(title, before, changes(before, latest)))
    if not told and latest.number > 1:
        previous = Revision.objects.get(request=request, number=latest.number - 1)
        told[previous.pk] = Delta(f"What changed since revision {previous.number}", previous, changes(previous, latest))
    return list(told.values())


def since_approved(found: Dossier) -> Revision | None:
    """What was approved last of this model, for this environment and use, before this request."""
    request = found.request
    told = APPROVED(request.version.model_id, request.environment, request.use, request.pk)
    return told[0] if told else None


SIGNED = Prepared(
    lambda signer, model, environment, use, revision: Decision.objects.filter(
        signer=signer, request__version__model=model, request__environment=environment, request__use=use
    ).exclude(revision=revision).select_related("revision__request__version").order_by("-id")[:1],
    int, int, str, str, int,
)  # fmt: skip
APPROVED = Prepared(
    lambda model, environment, use, request: Revision.objects.filter(
        request__state__in=workflow.APPROVED, request__version__model=model, request__environment=environment,
        request__use=use, request__lt=request,
    ).select_related("request__version").order_by("-request", "-number")[:1],
    int, str, str, int,
)  # fmt: skip


def approved_words(revision: Revision) -> str:
    return f"version {revision.request.version.number}, approved in request {revision.request_id}"


def revision_words(revision: Revision, request: ReviewRequest) -> str:
    if revision.request_id == request.pk:
        return f"revision {revision.number}"
    return f"version {revision.request.version.number} in request {revision.request_id}"
