import pytest

from ledger.models import Event
from tests.worlds import a_dataset, a_document, a_version

pytestmark = pytest.mark.django_db


def test_a_valid_world_stands(cast):
    version, dataset = a_version(cast), a_dataset(cast)
    evidence = a_document(cast, version)
    assert version.number == 1
    assert version.signature["inputs"][0]["shape"] == [None, 2]
    assert dataset.rows == 200
    assert evidence.provenance == "submitted"
    events = set(Event.objects.values_list("event", flat=True))
    assert {"model.registered", "version.registered", "dataset.registered", "evidence.attached"} <= events
