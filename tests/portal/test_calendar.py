"""The revalidation calendar and the age of findings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from approvals.findings import ageing
from approvals.findings.models import Finding
from approvals.findings.services import close
from tests.approvals import world
from tests.approvals.findings_world import a_finding, a_risk, in_days
from tests.approvals.test_pages import text_of

pytestmark = pytest.mark.django_db


def test_what_ends_or_is_due_stands_under_its_month(cast, signed_in, api):
    from registry.services import edit_card

    request = world.an_approval(cast)
    finding = a_finding(cast, request.version, "medium", due=in_days(40))
    risk = a_risk(cast, request, f"finding:{finding.pk}", until=in_days(20))
    client = api(cast.auditor)
    told = client.get("/api/v1/revalidations/").json()["results"]
    assert [item["kind"] for item in told] == ["acceptance", "approval", "finding"]
    assert [item["day"] for item in told] == [str(in_days(20)), str(in_days(40)), str(in_days(40))]
    assert told[0]["url"] == risk.get_absolute_url()
    page = text_of(signed_in(cast.developer).get("/models/calendar/"))
    for day in (in_days(20), in_days(40)):
        assert f"{day:%B %Y}" in page
    edit_card(by=cast.developer, version=request.version, card="# Intended use\n\nLess.\n")
    (first, *_) = client.get("/api/v1/revalidations/").json()["results"]
    assert (first["kind"], first["overdue"], first["day"]) == ("approval", True, None)
    assert "at once" in text_of(signed_in(cast.auditor).get(f"/models/calendar/?team={cast.team.pk}"))
    assert "Nothing is due" in text_of(signed_in(cast.auditor).get(f"/models/calendar/?team={cast.other_team.pk}"))
    assert client.get(f"/api/v1/revalidations/?team={cast.other_team.pk}").json() == {"results": [], "cut": False}
    assert api(cast.outsider).get("/api/v1/revalidations/").json()["results"] == []


@pytest.mark.parametrize(
    ("days", "band"), [(0, 0), (30, 0), (31, 1), (60, 1), (61, 2), (91, 3), (180, 3), (181, 4), (999, 4)]
)
def test_a_finding_is_in_one_band_by_its_days(days, band, cast):
    finding = a_finding(cast, world.a_complete_version(cast))
    at = Finding.objects.get(pk=finding.pk).raised_at + timedelta(days=days, minutes=1)
    (line,) = ageing.lines_of(cast.auditor, at)
    assert (line.severity, [place for place, count in enumerate(line.bands) if count]) == ("high", [band])
    assert line.overdue == (1 if days > 10 else 0)


def test_the_age_of_findings_as_page_and_api(cast, signed_in, api):
    version = world.a_complete_version(cast)
    a_finding(cast, version, "low")
    a_finding(cast, version, "critical")
    close(by=cast.validator, finding=a_finding(cast, version, "high"), reason="settled")
    lines = api(cast.auditor).get("/api/v1/findings/ageing/").json()["results"]
    assert [(line["severity"], line["total"], line["bands"]["0 to 30 days"]) for line in lines] == [
        ("critical", 1, 1), ("low", 1, 1),
    ]  # fmt: skip
    page = signed_in(cast.developer).get("/findings/ageing/")
    assert "Critical 1 0 0 0 0 1 0" in text_of(page)
    assert "/findings/?state=standing&amp;severity=critical" in page.content.decode()
    assert "No finding is open" in text_of(signed_in(cast.auditor).get(f"/findings/ageing/?team={cast.other_team.pk}"))
    assert api(cast.auditor).get(f"/api/v1/findings/ageing/?team={cast.other_team.pk}").json() == {"results": []}
