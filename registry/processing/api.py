"""Records of processing under `/api/v1/`."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from ledger.refusals import Refusal
from registry.api.answers import ProcessingOut
from registry.api.datasets import visible
from registry.models import Dataset
from registry.processing import reading, services
from registry.processing.models import Processing
from registry.processing.rules import BASES, CONDITIONS, LONGEST_DAYS, OPEN_TO


class ProcessingInput(serializers.Serializer[Any]):
    basis = serializers.ChoiceField(list(BASES.items()))
    condition = serializers.ChoiceField(list(CONDITIONS.items()), required=False, allow_blank=True, default="")
    keep_until = serializers.DateField(required=False, allow_null=True, default=None, help_text="The last day")
    keep_days = serializers.IntegerField(
        min_value=1, max_value=LONGEST_DAYS, required=False, allow_null=True, default=None,
        help_text="Or so many days from registration",
    )  # fmt: skip
    phi = serializers.BooleanField(required=False, default=False, help_text="Holds protected health information")
    open_to = serializers.ChoiceField(list(OPEN_TO.items()), required=False, default="team")
    readers = serializers.ListField(
        child=serializers.IntegerField(), required=False, default=list, max_length=200,
        help_text="Ids of the people who may open rows, where they are named",
    )  # fmt: skip
    note = serializers.CharField(max_length=1000, help_text="What this rests on")
    before = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="Number of the edition that you read; 0 for none"
    )


class DatasetProcessing(ListAPIView[Processing]):
    """All editions of a dataset's record of processing, the newest first: that one is in force."""

    permissions = {"GET": "registry.view_model", "POST": "registry.govern_dataset"}
    queryset = Processing.objects.none()
    serializer_class = ProcessingOut

    def get_queryset(self) -> Any:
        dataset = visible(self.request, self.kwargs["pk"])
        rows = Processing.objects.visible_to(self.request.user).filter(dataset=dataset)
        return rows.select_related("dataset", "recorded_by")

    @extend_schema(summary="List how a dataset was to be processed")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().get(request, *args, **kwargs)

    @extend_schema(summary="Record how a dataset is processed", request=ProcessingInput, responses={201: ProcessingOut})
    def post(self, request: Request, pk: int) -> Response:
        """What is left out goes back to its default: send the whole record."""
        dataset = visible(request, pk)
        given = ProcessingInput(data=request.data)
        given.is_valid(raise_exception=True)
        values = {**given.validated_data, "readers": named(dataset, given.validated_data["readers"])}
        row = services.record_processing(by=request.user, dataset=dataset, **values)
        return Response(ProcessingOut(row).data, status=201)


def named(dataset: Dataset, ids: list[int]) -> list[User]:
    """The people of these ids. Raises Refusal `reader_unknown` for the first who may not open rows here."""
    known = {user.pk: user for user in reading.may_open_rows(dataset)}
    for place, key in enumerate(ids):
        if key not in known:
            sentence = f"{key} is nobody who may open rows in this team. Check the id, or ask for a role for them."
            raise Refusal("reader_unknown", sentence, f"readers.{place}")
    return [known[key] for key in ids]


routes = [path("datasets/<int:pk>/processing/", DatasetProcessing.as_view(), name="api-dataset-processing")]
