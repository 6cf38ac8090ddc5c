"""The description of the API is whole: no warning while it is made, and every operation says how it can fail."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator


@pytest.fixture(scope="module")
def schema() -> Any:
    GENERATOR_STATS.reset()
    made = SchemaGenerator().get_schema(request=None, public=True)
    said = io.StringIO()
    if GENERATOR_STATS:
        GENERATOR_STATS.emit_summary()
    found = [*GENERATOR_STATS._warn_cache, *GENERATOR_STATS._error_cache]
    return made, found, said


def operations(schema: Any) -> Iterator[tuple[str, Any]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_made_without_a_warning(schema):
    assert schema[1] == []


def test_every_operation_declares_its_errors(schema):
    for name, operation in operations(schema[0]):
        answers = set(operation["responses"])
        wanted = {"401", "403", "404"} | ({"409", "422"} if not name.startswith("GET") else set())
        assert wanted <= answers, name
        assert any(status.startswith("2") or status == "304" for status in answers), name
        for status in wanted:
            assert list(operation["responses"][status]["content"]) == ["application/problem+json"], name


def test_every_operation_has_a_summary_and_a_name_of_its_own(schema):
    named = [operation["operationId"] for _, operation in operations(schema[0])]
    assert len(named) == len(set(named))
    assert [name for name, operation in operations(schema[0]) if not operation.get("summary")] == []


def test_every_operation_is_of_this_version(schema):
    assert {path for path in schema[0]["paths"] if not path.startswith("/api/v1/")} == set()
    assert schema[0]["openapi"].startswith("3.1")
