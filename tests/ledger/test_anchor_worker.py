"""A real worker takes checkpoints out, also when it is killed on the way."""

import threading

import celery
import pytest

from ledger.models import Anchor
from tests.jobs.workers import Workers, children, wait_for
from tests.ledger.stand_ins import Log, Reply, served

pytestmark = pytest.mark.long


def test_a_worker_killed_while_it_posts_posts_again_and_stores_one(process_environment, owner_cursor, valkey, tmp_path):
    log, got, let_go = Log(), [], threading.Event()
    owner_cursor.execute(
        "INSERT INTO ledger_checkpoint (origin, size, note) VALUES (%s, 8, %s)", [log.origin, log.note(8)]
    )
    (tmp_path / "secret").write_text("0123456789" * 4)

    def receive(asked):
        got.append(asked)
        if len(got) == 1:
            let_go.wait(20)
        return Reply(202)

    with served(receive) as address:
        environment = {
            **process_environment, "LOG_ORIGIN": log.origin,
            "LOG_ANCHORS": f"webhook:{address}#secret_file={tmp_path}/secret folder:{tmp_path}",
        }  # fmt: skip
        workers = Workers(environment, valkey, stale=2)
        try:
            worker = workers.start()
            send(workers)
            wait_for(lambda: got)
            for child in children(worker):
                child.kill()
            let_go.set()
            wait_for(lambda: len(got) > 1, each=lambda: send(workers))
            wait_for(lambda: Anchor.objects.count() == 2)
        finally:
            let_go.set()
            workers.close()
    assert len({asked.headers["idempotency-key"] for asked in got}) == 1
    assert (tmp_path / log.published(8).folder / "8").read_bytes() == log.note(8)
    assert sorted(Anchor.objects.values_list("target", "size")) == [("folder", 8), ("webhook", 8)]


def send(workers):
    with celery.Celery(broker=workers.broker, set_as_current=False) as app:
        app.send_task("ledger.anchor_checkpoints")
