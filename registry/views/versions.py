"""Forms about versions, the comparison of two, and the download of one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from ledger.refusals import Refusal
from registry import cards, comparing, services
from registry.downloads import attachment
from registry.forms import CardForm, ContributorsForm, UploadForm, VersionForm
from registry.models import Model, Upload, Version
from registry.people import of_team
from registry.services.versions import plain_rule
from registry.views.answers import answered, need
from registry.views.models import form_page
from registry.views.models import seen as seen_model

ONNX_HINT = "One ONNX file. It is opened only in a process without network or other files; a pickle is never opened."


def seen(request: HttpRequest, pk: int) -> Version:
    rows = Version.objects.visible_to(request.user).select_related("model__team", "artifact", "registered_by")
    version: Version = get_object_or_404(rows.prefetch_related("contributors"), pk=pk)
    return version


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    """First the file, then, once the sandbox has looked at it, what is said about it."""
    model = seen_model(request, pk)
    need(request, "registry.register_version", model)
    if key := request.GET.get("upload", ""):
        uploads = Upload.objects.visible_to(request.user).filter(team=model.team_id, pk=key if key.isdigit() else None)
        return describe(request, model, get_object_or_404(uploads.select_related("artifact")))
    form = UploadForm(request.POST or None, request.FILES or None, hint=ONNX_HINT)

    def act(given: dict[str, Any]) -> str:
        file = given["file"]
        upload = services.receive_upload(by=asker(request), team=model.team, chunks=file.chunks(), filename=file.name)
        services.inspect_upload(upload)
        return f"{request.path}?upload={upload.pk}"

    return answered(request, "registry/version_upload.html", form, refusing(act, "file"), {"model": model})


def refusing(act: Any, field: str) -> Any:
    """Show what the storage or the sandbox refuses beside the file field."""

    def shown(given: dict[str, Any]) -> Any:
        try:
            return act(given)
        except Refusal as refusal:
            raise Refusal(refusal.code, refusal.sentence, field) from refusal

    return shown


def describe(request: HttpRequest, model: Model, upload: Upload) -> HttpResponse:
    try:
        signature = services.inspect_upload(upload)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
        return redirect("version-new", model.pk)
    initial = first_values(request, model, signature)
    form = VersionForm(request.POST or None, signature=signature, team_id=model.team_id, initial=initial)

    def act(given: dict[str, Any]) -> Version:
        values = form.values()
        try:
            return services.register_version(by=asker(request), model=model, upload=upload, **values)
        except Refusal as refusal:
            if refusal.code != "version_exists":
                raise
            messages.info(request, refusal.sentence)
            rule = plain_rule(values["decision_rule"], signature["outputs"])
            same = model.versions.filter(artifact=upload.artifact, features=values["features"], decision_rule=rule)
            found: Version = same.get()
            return found

    context = {"model": model, "upload": upload, "signature": signature, "tensors": tensors_of(signature)}
    return answered(request, "registry/version_new.html", form, act, context)


def tensors_of(signature: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Direction, name and type of what a model takes and gives."""
    return [
        (direction, tensor["name"], comparing.shown_type(tensor))
        for direction, key in (("Input", "inputs"), ("Output", "outputs"))
        for tensor in signature[key]
    ]


def first_values(request: HttpRequest, model: Model, signature: dict[str, Any]) -> dict[str, Any]:
    """What the form begins with: from the version before, else from the file."""
    outputs = [tensor["name"] for tensor in signature["outputs"]]
    inputs = [tensor["name"] for tensor in signature["inputs"]]
    scores = [
        tensor["name"] for tensor in signature["outputs"] if "float" in tensor["type"] or "double" in tensor["type"]
    ]
    values = {
        "features": "\n".join(inputs) if len(inputs) > 1 else "",
        "output": (scores or outputs)[0],
        "kind": "threshold" if scores else "label",
        "klass": "1", "at_least": 0.5, "equals": "1", "card": cards.TEMPLATE, "contributors": [request.user.pk],
    }  # fmt: skip
    before = model.versions.first()
    if before is None:
        return values
    rule = before.decision_rule
    if rule.get("output") in outputs:
        values |= {"klass" if key == "class" else key: value for key, value in rule.items()}
    people = before.contributors.values_list("pk", flat=True)
    return {**values, "features": "\n".join(before.features), "card": before.card, "contributors": list(people)}


@form_page
def edit_card(request: HttpRequest, pk: int) -> HttpResponse:
    version = seen(request, pk)
    need(request, "registry.edit_version", version)
    initial = {"card": version.card or cards.TEMPLATE, "before": version.card_digest}
    form = CardForm(request.POST or None, initial=initial)

    def act(given: dict[str, Any]) -> Version:
        if given["before"] != version.card_digest:
            raise Refusal(
                "changed_meanwhile",
                "Somebody changed the card since you opened this form. Copy your text, open the form again, and "
                "put it in.",
            )
        return services.edit_card(by=asker(request), version=version, card=given["card"])

    return answered(request, "registry/card_edit.html", form, act, {"subject": version})


@form_page
def contributors(request: HttpRequest, pk: int) -> HttpResponse:
    version = seen(request, pk)
    need(request, "registry.edit_version", version)
    people = of_team(version.team_id).exclude(pk__in=version.contributors.values("pk"))

    def act(given: dict[str, Any]) -> Version:
        return services.add_contributors(by=asker(request), version=version, **given)

    form = ContributorsForm(request.POST or None, people=people)
    return answered(request, "registry/contributors.html", form, act, {"subject": version, "people": people})


@require_GET
def compare(request: HttpRequest, pk: int, other: int) -> HttpResponse:
    after, before = seen(request, pk), seen(request, other)
    found = comparing.compared(before, after)
    changed = sum(line["kind"] != "same" for line in found["card"])
    return render(
        request,
        "registry/compare.html",
        {
            "before": before,
            "after": after,
            "others": after.model.versions.exclude(pk=after.pk),
            "evidence": comparing.evidence_side_by_side(before, after),
            "lead": f"{before} on the left, {after} on the right",
            "card_changed": changed,
            "card_note": f"{changed} lines differ" if changed else "",
            **found,
        },
    )


@require_GET
def choose_other(request: HttpRequest, pk: int) -> HttpResponse:
    """From the list of versions to compare with: `?with=<id>`."""
    version, other = seen(request, pk), request.GET.get("with", "")
    if not other.isdigit():
        return redirect(version)
    return redirect("version-compare", version.pk, int(other))


@require_GET
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    version = seen(request, pk)
    return attachment(services.record_download(by=asker(request), of=version), version.filename)
