"""Inventories from elsewhere, for tests."""

from __future__ import annotations

from typing import Any

from tests import worlds

TEXT = "Model,Use,Mail,Key\nCollections,Ranks calls.,model-owner@example.org,\nFraud alarm,Stops payments.,,fraud\n"
COLUMNS = {"name": "Model", "purpose": "Use", "owner": "Mail", "slug": "Key"}


def a_file(cast: Any, text: str | bytes = TEXT) -> Any:
    data = text if isinstance(text, bytes) else text.encode()
    return worlds.an_upload(cast, data, "inventory.csv")


def an_import(cast: Any, text: str = TEXT, **columns: str) -> Any:
    from registry.importing.services import import_models

    return import_models(by=cast.developer, team=cast.team, upload=a_file(cast, text), columns={**COLUMNS, **columns})
