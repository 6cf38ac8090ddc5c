"""Which keys a list shows, the same on pages and in the API."""

from __future__ import annotations

import django_filters

from inference.models import KEY_STATES, InferenceKey, InferenceKeyQuerySet
from ledger.events import database_time

STATES = [(state, state.capitalize()) for state in reversed(KEY_STATES)]


class KeyFilter(django_filters.FilterSet):  # type: ignore[misc]
    state = django_filters.ChoiceFilter(
        choices=STATES, method="stand", help_text="How it stands now: stale is unused for 30 days, expiring within 14"
    )
    endpoint = django_filters.NumberFilter(field_name="scopes__endpoint", help_text="The id of an endpoint it opens")

    class Meta:
        model = InferenceKey
        fields = ["name", "key_id", "holder"]

    def stand(self, keys: InferenceKeyQuerySet, name: str, state: str) -> InferenceKeyQuerySet:
        return keys.in_state(state, database_time())
