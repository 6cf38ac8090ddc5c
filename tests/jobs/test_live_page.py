"""The page of a running job in a real browser: it follows the work by itself, and without JavaScript by a link."""

import pytest
from django.db import transaction

from jobs.models import Job
from jobs.services import claim, enqueue, publish
from tests.browser import chromium

pytestmark = pytest.mark.journey


def signed(context, address, client):
    (session,) = [cookie for cookie in client.cookies.values() if cookie.key.endswith("session")]
    context.add_cookies([{"name": session.key, "value": session.value, "url": address}])


def test_the_page_follows_the_work(committing_db, cast, live_portal, signed_in):
    job = enqueue(
        kind="tests.count", inputs={}, team_id=cast.team.pk, subject="Counting", subject_url="", by=cast.developer
    )
    client = signed_in(cast.developer)
    address = f"{live_portal}/jobs/{job.pk}/"
    with chromium() as browser:
        script, plain = browser.new_context(), browser.new_context(java_script_enabled=False)
        for context in (script, plain):
            signed(context, live_portal, client)
        page, still = script.new_page(), plain.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(address)
        still.goto(address)
        page.get_by_text("waits for a free worker").wait_for()
        held = claim(job.pk)
        Job.objects.filter(pk=job.pk).update(progress=42, phase="Counting to 42")
        page.get_by_text("Counting to 42").wait_for(timeout=5000)
        assert still.get_by_text("Counting to 42").count() == 0
        still.get_by_role("link", name="Refresh").click()
        still.get_by_text("Counting to 42").wait_for()
        still.get_by_role("link", name="Cancel the job").wait_for()
        with transaction.atomic():
            publish(held, result_url="/jobs/")
        page.get_by_role("link", name="Read the result").wait_for(timeout=5000)
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.wait_for_timeout(1500)
        assert asked == [], "nothing is asked any more once the job has ended"
        assert said == [], "no complaint of the browser, the content security policy's included"
