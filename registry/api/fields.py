"""Input fields that the registry's endpoints share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from registry.models import Upload


@extend_schema_field(int)
class VisibleUpload(serializers.PrimaryKeyRelatedField[Upload]):
    """The id of an upload that the asker can see."""

    def get_queryset(self) -> Any:
        return Upload.objects.visible_to(self.context["request"].user).select_related("artifact")


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string", "format": "email"}]})
class PersonKey(serializers.Field[Any, Any, Any, Any]):
    """An account by its id or mail address."""

    default_error_messages = {"invalid": "Name an account by its id or mail address."}

    def to_internal_value(self, data: Any) -> int | str:
        if isinstance(data, bool) or not isinstance(data, int | str) or len(str(data)) > 254:
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value
