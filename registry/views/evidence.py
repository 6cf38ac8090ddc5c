"""Pages about evidence."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.asking import asker
from ledger.refusals import Refusal
from registry import cards, services, storage
from registry.downloads import attachment
from registry.forms import EvidenceForm, ReasonForm
from registry.models import Evidence, Upload
from registry.services.evidence import KINDS
from registry.views.answers import answered, need
from registry.views.models import form_page
from registry.views.versions import seen as seen_version

CONSEQUENCES = (
    "The document stays listed, marked as withdrawn, with your reason.",
    "An approval that rests on it no longer counts.",
)


def seen(request: HttpRequest, pk: int) -> Evidence:
    rows = Evidence.objects.visible_to(request.user).select_related(
        "version__model__team", "artifact", "produced_by", "dataset__deletion"
    )
    evidence: Evidence = get_object_or_404(rows, pk=pk)
    return evidence


@require_GET
def evidence(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    mine = found.produced_by_id == asker(request).pk and found.provenance == Evidence.Provenance.SUBMITTED
    may_withdraw = mine and not found.withdrawn_at and asker(request).has_perm("registry.attach_evidence", found)
    context = {
        "evidence": found,
        "lead": f"{KINDS.get(found.kind, found.kind.replace('_', ' ').capitalize())} on {found.version}",
        "may_withdraw": may_withdraw,
        "may_download": asker(request).has_perm("registry.download_artifact", found),
        "text": text_of(found),
    }
    return render(request, "registry/evidence.html", context)


def text_of(evidence: Evidence) -> str:
    """A report that was written here, to be read here; "" for every other document, and where its file is not there."""
    if not evidence.summary.get("template"):
        return ""
    try:
        return cards.rendered(storage.read(evidence.artifact).decode())
    except Refusal:
        return ""


@form_page
def new(request: HttpRequest, pk: int) -> HttpResponse:
    version = seen_version(request, pk)
    need(request, "registry.attach_evidence", version)
    mine = Upload.objects.visible_to(request.user).filter(team=version.team_id, uploaded_by=asker(request))
    key = request.POST.get("kept", "")
    context: dict[str, Any] = {"subject": version, "kept": mine.filter(pk=key if key.isdigit() else None).first()}
    form = EvidenceForm(request.POST or None, request.FILES or None, kept=context["kept"] is not None)
    if request.method == "POST" and (file := request.FILES.get("file")):
        try:
            context["kept"] = services.receive_upload(
                by=asker(request), team=version.model.team, chunks=file.chunks(), filename=file.name or ""
            )
        except Refusal as refusal:
            form.add_error("file", refusal.sentence)

    def act(given: dict[str, Any]) -> Evidence:
        said = {"kind": given["kind"], "title": given["title"]}
        return services.attach_evidence(by=asker(request), version=version, upload=context["kept"], **said)

    return answered(request, "registry/evidence_new.html", form, act, context)


@form_page
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    found = seen(request, pk)
    need(request, "registry.attach_evidence", found)

    def act(given: dict[str, Any]) -> Evidence:
        return services.withdraw_evidence(by=asker(request), evidence=found, **given)

    context = {"evidence": found, "consequences": CONSEQUENCES}
    return answered(request, "registry/evidence_withdraw.html", ReasonForm(request.POST or None), act, context)


@require_GET
def download(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = seen(request, pk)
    return attachment(services.record_download(by=asker(request), of=found), found.filename, found.media_type)
