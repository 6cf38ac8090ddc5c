"""The endpoint that a request is about, for pages and API alike."""

from __future__ import annotations

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from rest_framework.request import Request

from inference.models import Endpoint


def visible(request: HttpRequest | Request, pk: int) -> Endpoint:
    """Raises Http404 where there is none that they can see."""
    return get_object_or_404(Endpoint.objects.visible_to(request.user).with_parts(), pk=pk)
