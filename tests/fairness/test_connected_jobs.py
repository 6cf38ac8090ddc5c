"""Reports that are asked for on a connection: the job, its evidence and page, and what is refused beforehand."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from fairness.ll144.services import request_ll144_audit
from fairness.services import (
    request_bias_report,
    request_comparison_report,
    request_explanation_report,
    submit_predictions,
)
from fairness.tradeoff.services import request_trade_off_report
from jobs.models import Job
from ledger.models import Event
from ledger.refusals import Refusal
from registry import storage
from registry.connecting.services import replace_secret
from registry.models import Evidence
from registry.training.services import record_training
from tests import worlds
from tests.fairness.auditing import ASKED
from tests.fairness.reporting import done
from tests.registry import sources


def report_of(job):
    return json.loads(storage.read(Evidence.objects.get(pk=job.result_url.strip("/").split("/")[-1]).artifact))


def test_a_report_is_made_where_the_rows_are_and_its_page_says_so(committing_db, cast, signed_in, settings):
    version, connection = worlds.a_version(cast), sources.a_connection(cast, snapshot="export of October")
    dataset, file = sources.a_connected_dataset(cast, connection), worlds.a_dataset(cast)
    record_training(by=cast.developer, version=version, datasets=[worlds.a_dataset(cast, purpose="training")])

    def ask(**more):
        given = {"source": "historical", "dataset": dataset, **more}
        return request_bias_report(by=cast.developer, version=version, **given)

    first, here = done(ask()), done(ask(dataset=file))
    assert (first.state, here.state) == ("succeeded", "succeeded"), first.error
    report, same = report_of(first), report_of(here)
    assert report["attributes"][0]["groups"] == same["attributes"][0]["groups"]
    assert [each["code"] for each in report["warnings"]][-2:] == ["rows_elsewhere", "training_elsewhere"]
    client = signed_in(cast.validator)
    page = client.get(first.result_url).content.decode()
    for words in (
        connection.place,
        "export of October",
        report["provenance"]["connection"]["rows_hash"],
        "in one read",
    ):
        assert words in page
    paper = client.get(f"{first.result_url}report.pdf")
    assert paper.content.startswith(b"%PDF")
    again = done(ask())
    assert again.pk != first.pk, "what is there now only the worker sees"
    assert report_of(again) == report, "the rows are the same"
    sources.administer(f"UPDATE {connection.table} SET approved = 1 WHERE debt < 0")  # noqa: S608
    changed = report_of(done(ask()))
    assert changed["provenance"]["seed"] != report["provenance"]["seed"]
    assert Evidence.objects.filter(dataset=dataset).count() == 3
    replace_secret(by=cast.developer, connection=connection, user=sources.READER, password="a-newer-one")
    sources.administer(f"ALTER TABLE {connection.table} DROP COLUMN approved")
    failed = done(ask())
    assert (failed.state, failed.error_code) == ("failed", "column_missing")
    sources.administer(f"DROP TABLE {connection.table}")
    failed = done(ask(rule={"metric": "selection_rate", "comparison": "impact_ratio", "bound": 0.7}))
    assert (failed.state, failed.error_code) == ("failed", "table_unknown")
    settings.FACTOR_KEY = "another key than before"
    failed = done(ask(rule={"metric": "selection_rate", "comparison": "impact_ratio", "bound": 0.6}))
    assert (failed.state, failed.error_code) == ("failed", "secret_unreadable")
    kept = json.dumps(list(Job.objects.values("inputs", "error_sentence", "error_code", "subject")), default=str)
    kept += b"".join(bytes(each) for each in Event.objects.values_list("bytes", flat=True)).decode()
    assert not [word for word in (sources.PASSWORD, sources.READER, "a-newer-one") if word in kept]


def test_what_needs_rows_is_refused_and_no_job_is_made(db, cast, client, signed_in):
    roles = {**sources.ROLES, "debt": "score", "decided": "prediction"}
    query = f"SELECT *, 1 - approved AS decided FROM {sources.a_table()}"  # noqa: S608
    connection = sources.a_connection(cast, query=query)
    version, dataset = worlds.a_version(cast), sources.a_connected_dataset(cast, connection, roles=roles)
    other = worlds.a_version(cast, model=version.model, weight=2.0)
    given = {"by": cast.developer, "version": version, "dataset": dataset}
    asks = [
        lambda: request_bias_report(**given, source="model"),
        lambda: request_explanation_report(**given),
        lambda: request_comparison_report(**given, other=other),
        lambda: request_trade_off_report(**given, sensitive="group", us_employment=False),
        lambda: request_ll144_audit(**given, **ASKED),
        lambda: submit_predictions(**given, predictions=[1] * 200),
        lambda: submit_predictions(**given, at_least=0.5),
        lambda: submit_predictions(**given, task="regression", at_least=0.5, outcome="income"),
    ]
    likely = sources.a_connection(cast, query=f"SELECT *, 0.5 AS one, 0.5 AS other FROM ({query}) AS q")  # noqa: S608
    unsure = sources.a_connected_dataset(
        cast, likely, roles={**roles, "one": "membership", "other": "membership"}
    )  # fmt: skip
    asks.append(lambda: request_bias_report(**{**given, "dataset": unsure}, source="historical"))
    for ask in asks:
        with pytest.raises(Refusal) as told:
            ask()
        assert told.value.code == "rows_elsewhere"
    assert not Job.objects.exists()
    browser = signed_in(cast.developer)
    page = browser.get(f"/versions/{version.pk}/reports/new/?dataset={dataset.pk}&what=model")
    text = page.content.decode()
    assert "Bias in the decisions recorded" in text
    assert "the portal runs the model" not in text
    assert "read as they are then" in text
    here = f"{reverse('predictions-new', args=[version.pk])}?dataset={dataset.pk}"
    text = browser.get(here).content.decode()
    assert "no score read" in text
    assert 'type="file"' not in text
    rule = {"metric": "selection_rate", "comparison": "impact_ratio", "bound": 0.8, "confidence": 0.95}
    sent = {**rule, "where": "dataset", "task": "binary", "sensitive": ["group"], "minimum_group_size": 30}
    assert browser.post(here, sent).status_code == 302
    assert Job.objects.get().inputs["roles"]["prediction"] == "decided"
