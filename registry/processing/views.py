"""The page on which a dataset's record of processing is read and changed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path

from accounts.asking import asker
from registry.models import Dataset
from registry.processing import reading, services
from registry.processing.forms import ProcessingForm
from registry.views.answers import answered, need
from registry.views.datasets import seen
from registry.views.models import form_page


@form_page
def record(request: HttpRequest, pk: int) -> HttpResponse:
    dataset = seen(request, pk)
    need(request, "registry.govern_dataset", dataset)
    last = dataset.current_processing
    people = reading.may_open_rows(dataset)
    initial: dict[str, Any] = {"before": 0, "open_to": "team"}
    if last:
        initial = {name: getattr(last, name) for name in services.FIELDS} | {"before": last.number}
        initial["readers"] = people.filter(opaque_id__in=last.readers)
    form = ProcessingForm(request.POST or None, people=people, initial=initial)

    def act(given: dict[str, Any]) -> Dataset:
        services.record_processing(by=asker(request), dataset=dataset, **given)
        return dataset

    return answered(request, "registry/processing/record.html", form, act, {"dataset": dataset, "last": last})


urlpatterns = [path("datasets/<int:pk>/processing/", record, name="dataset-processing")]
