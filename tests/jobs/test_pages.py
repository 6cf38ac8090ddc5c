"""The pages and the API of jobs, as each role meets them."""

import pytest
from django.db import transaction
from django.urls import reverse

from jobs.models import Job
from jobs.services import cancel, claim, enqueue, fail, publish

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(cast):
    return new(cast)


def new(cast, **inputs):
    return enqueue(
        kind="tests.count", inputs=inputs, team_id=cast.team.pk, subject="Counting sheep", subject_url="/models/",
        by=cast.developer,
    )  # fmt: skip


def page(client, job, name="job"):
    return client.get(reverse(name, args=[job.pk]))


def test_the_page_of_a_running_job_shows_how_far_it_is_and_asks_again(cast, signed_in, job):
    claim(job.pk)
    Job.objects.filter(pk=job.pk).update(progress=42, phase="Reading rows")
    client = signed_in(cast.developer)
    for name in ("job", "job-live"):
        text = page(client, job, name).content.decode()
        assert "Reading rows" in text
        assert 'value="42"' in text
        assert f'hx-get="/jobs/{job.pk}/live/"' in text
        assert "Cancel the job" in text
    assert "Cancel the job" not in page(signed_in(cast.auditor), job).content.decode()


def test_a_job_that_has_ended_is_not_asked_about_any_more(cast, signed_in, job):
    with transaction.atomic():
        publish(claim(job.pk), result_url="/reports/7/")
    text = page(signed_in(cast.developer), job).content.decode()
    assert "hx-get" not in text
    assert 'href="/reports/7/"' in text


def test_a_failed_job_says_why_and_offers_to_try_again(cast, signed_in, job):
    fail(claim(job.pk), "one_class", "Column “approve” has one class only.")
    client = signed_in(cast.developer)
    assert "has one class only" in page(client, job).content.decode()
    assert "has one class only" in client.get("/jobs/").content.decode()
    assert client.post(reverse("job-retry", args=[job.pk])).headers["Location"] == job.get_absolute_url()
    assert Job.objects.get(pk=job.pk).state == "queued"
    assert "Only a job that failed" in client.post(reverse("job-retry", args=[job.pk]), follow=True).content.decode()


def test_cancelling_is_asked_for_twice(cast, signed_in, job):
    client = signed_in(cast.developer)
    address = reverse("job-cancel", args=[job.pk])
    assert "nothing of it is stored" in client.get(address).content.decode()
    assert Job.objects.get(pk=job.pk).state == "queued"
    client.post(address, {"reason": "wrong data"})
    assert Job.objects.get(pk=job.pk).state == "cancelled"
    assert "has ended already" in client.post(address, {}, follow=True).content.decode()


def test_outsiders_find_nothing_and_insiders_are_told_why(cast, signed_in, api, job):
    stranger, reader = signed_in(cast.outsider), signed_in(cast.auditor)
    for name in ("job", "job-live", "job-cancel"):
        assert page(stranger, job, name).status_code == 404
    assert "No jobs yet" in stranger.get("/jobs/").content.decode()
    assert reader.post(reverse("job-cancel", args=[job.pk])).status_code == 403
    outside = api(cast.outsider)
    assert outside.get("/api/v1/jobs/").json()["results"] == []
    assert outside.get(f"/api/v1/jobs/{job.pk}/").status_code == 404
    assert outside.post(f"/api/v1/jobs/{job.pk}/retry/").status_code == 404
    refused = api(cast.auditor).post(f"/api/v1/jobs/{job.pk}/cancellation/", {}, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_denied")
    assert api(None).get("/api/v1/jobs/").status_code == 401


def test_the_list_is_filtered_and_turned(cast, signed_in):
    for number in range(55):
        new(cast, number=number)
    cancel(by=cast.developer, job=Job.objects.first())
    client = signed_in(cast.developer)
    first = client.get("/jobs/").content.decode()
    assert first.count("data-row") == 50
    assert "Older" in first
    assert "Newer" not in first
    last = Job.objects.order_by("-pk")[49].pk
    assert client.get(f"/jobs/?before={last}").content.decode().count("data-row") == 5
    assert client.get(f"/jobs/?after={last - 10}").content.decode().count("data-row") == 50
    assert client.get("/jobs/?state=cancelled").content.decode().count("data-row") == 1
    assert "No jobs here" in client.get("/jobs/?state=failed").content.decode()
    assert client.get("/jobs/?state=nonsense&before=x").status_code == 200


def test_the_api_tells_state_and_failure_and_steers(cast, api, job):
    client = api(cast.developer)
    address = f"/api/v1/jobs/{job.pk}/"
    first = client.get(address)
    assert first.json()["state"] == "queued"
    assert client.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    fail(claim(job.pk), "one_class", "One class only.")
    answer = client.get(address, headers={"If-None-Match": first.headers["ETag"]}).json()
    assert answer["error"] == {"code": "one_class", "sentence": "One class only."}
    assert client.post(f"{address}retry/").status_code == 202
    assert client.post(f"{address}retry/").json()["code"] == "job_not_ended"
    cancelled = client.post(f"{address}cancellation/", {"reason": "enough"}, content_type="application/json")
    assert cancelled.json()["state"] == "cancelled"
    assert client.post(f"{address}cancellation/", {}, content_type="application/json").status_code == 409
    wrong = client.post(f"{address}cancellation/", {"reason": ["x"]}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "reason")
    listed = client.get("/api/v1/jobs/?state=cancelled").json()["results"]
    assert [row["id"] for row in listed] == [job.pk]
