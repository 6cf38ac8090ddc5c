"""OpenAPI: every operation declares the problem documents that it can answer with."""

from __future__ import annotations

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers

MEANINGS = {
    400: "The body is not JSON, or a parameter cannot be read",
    401: "No token, or one that is unknown, expired or revoked",
    403: "Not permitted; `detail` names the permission that is missing",
    404: "Nothing here that you can see",
    406: "No such representation",
    409: "Refused because of the state of things; `code` says why",
    413: "Too large",
    415: "Unsupported media type",
    422: "Some input is not right; `errors` has the field paths",
    429: "Too many requests; wait as `Retry-After` says",
}


class ProblemError(serializers.Serializer[Any]):
    field = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457 problem document."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    request_id = serializers.CharField()
    errors = ProblemError(many=True, required=False)  # type: ignore[assignment]


class ProblemAwareSchema(AutoSchema):
    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> Any:
        """Beneath what `extend_schema(responses=…)` replaces, so that no operation loses its errors by it."""
        answers = super()._get_response_bodies(direction)
        statuses = {400, 401, 403, 404, 406, 429}
        if self.method in {"POST", "PUT", "PATCH", "DELETE"}:
            statuses |= {409, 413, 415, 422}
        for status in sorted(statuses - set(map(int, answers))):
            problem = OpenApiResponse(Problem, description=MEANINGS[status])
            media_types = ["application/problem+json"]
            answers[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                problem, str(status), media_types, direction
            )
        return answers
