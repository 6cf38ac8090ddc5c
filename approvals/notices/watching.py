"""What no act tells, because only time passes or something elsewhere changes: found by looking, once an hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet

from accounts.preferences.telling import tell
from approvals import dossier as records
from approvals import workflow
from approvals.findings.models import FindingStep
from approvals.models import ReviewRequest
from approvals.notices.announcing import announce
from approvals.notices.feeding import feeder_ended
from approvals.notices.holding import HOLDING, speaking
from approvals.notices.people import makers, signers
from approvals.notices.telling import about_request
from approvals.workflow import findings as rules
from ledger.canonical import timestamp
from ledger.door import mechanical
from ledger.events import database_time
from notifications.models import Webhook
from notifications.services import forget
from registry.attesting import owing

AHEAD = (1, 7, 30)  # days
AT_ONCE = 100
# What ran out longer ago is news to nobody.
LATELY = timedelta(days=3)


@mechanical("tells people what the clock has brought about; what is told changes nothing")
def watch(at: datetime | None = None) -> dict[str, int]:
    """Approvals that run out or hold no longer, and overdue findings. Nobody is told twice of the same."""
    at = at or database_time()
    told = {"approvals": 0, "findings": 0, "attestations": 0}
    if not settings.MAIL_ON and not Webhook.objects.active().exists():
        return told
    for chunk in chunks(speaking()):
        found = [(each, workflow.standing(each.case, at)) for each in records.open_dossiers(chunk).values()]
        # Whoever was told that one of these had ended is told anew when it ends again.
        holding = [ended(each.request) for each, standing in found if standing.state in HOLDING]
        for kind in ("approval_ended", "feeder_ended"):
            forget(kind, holding)
        told["approvals"] += sum(look_at(each, standing, at) for each, standing in found)
    late = FindingStep.objects.latest_each().values("pk")
    steps = FindingStep.objects.with_parts().filter(
        pk__in=late, state__in=rules.STANDING, due__lt=rules.day_of(at)
    ).select_related("finding__version__model", "owner").order_by("pk")  # fmt: skip
    for step in steps.iterator(chunk_size=AT_ONCE):
        finding, about = step.finding, f"finding {step.finding_id} due {step.due.isoformat()}"
        path = finding.get_absolute_url()
        tell([step.owner], "finding_overdue", about, path=path, team=finding.team_id, finding=finding, step=step)
        told["findings"] += 1
    told["attestations"] = remind_owners(at)
    return told


def remind_owners(at: datetime) -> int:
    """Tell owners what they have not attested when the year has 30 days, 7 days and 1 day left; how many owners."""
    year, days = at.astimezone(UTC).year, ahead(owing.end_of_year(at), at)
    found = owing.by_owner(year) if days else {}
    for owner, models in found.items():
        about, path = f"attestations of {year}, {days}", owing.address(year)
        tell([owner], "attestation_due", about, path=path, models=models, year=year, days=days)
    return len(found)


def chunks(rows: QuerySet[ReviewRequest]) -> Iterator[list[ReviewRequest]]:
    last = 0
    while found := list(rows.filter(pk__gt=last)[:AT_ONCE]):
        yield found
        last = found[-1].pk


def ended(request: ReviewRequest) -> str:
    return f"request {request.pk} ended"


def look_at(found: records.Dossier, standing: workflow.Standing, at: datetime) -> bool:
    """Whether there was anything to tell of an approval."""
    request = found.request
    if standing.state in HOLDING:
        days = ahead(standing.valid_until, at) if standing.state == "expiring" else None
        if days is None or standing.valid_until is None:
            return False
        about = f"request {request.pk} until {standing.valid_until.date().isoformat()}, {days}"
        announce("expiring", about, request, standing.state, days=days, until=timestamp(standing.valid_until))
        about_request(makers(found), "expiring", about, request, until=standing.valid_until, days=days)
        return True
    if standing.state == "expired" and (standing.valid_until is None or at - standing.valid_until > LATELY):
        return False
    reason = standing.reasons[0].sentence if standing.reasons else ""
    announce("approval_ended", ended(request), request, standing.state)
    people = makers(found) | signers(found)
    about_request(
        people, "approval_ended", ended(request), request, template="ended", state=standing.state, reason=reason
    )
    feeder_ended(request, ended(request), standing.state)
    return True


def ahead(until: datetime | None, at: datetime) -> int | None:
    """The smallest of the spans in AHEAD that has begun: 7 where an approval ends in 5 days."""
    return next((days for days in AHEAD if until is not None and until - at <= timedelta(days=days)), None)
