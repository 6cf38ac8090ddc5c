"""The embedded Valkey, with the real binary."""

import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from celery import Celery

from portal.supervisor.faults import SetupError
from portal.supervisor.spawn import working_in
from portal.supervisor.valkey import Valkey


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with TemporaryDirectory(prefix="cs test ", dir="/tmp") as folder:
        valkey = Valkey(Path(folder) / "data", runtime=Path(folder) / "run")
        valkey.prepare()
        valkey.start()
        valkey.wait_ready()
        yield valkey
        valkey.stop()


def client(valkey: Valkey) -> redis.Redis:
    return redis.Redis.from_url(valkey.url(), decode_responses=True)


def test_speaks_on_a_socket_only_and_redis_and_celery_find_it(valkey: Valkey) -> None:
    with closing(client(valkey)) as connection:
        assert connection.config_get("port") == {"port": "0"}
        assert connection.config_get("appendonly") == {"appendonly": "yes"}
    with Celery(broker=valkey.broker_url(), set_as_current=False).connection() as broker:
        broker.ensure_connection(max_retries=1)
        assert broker.connected
    assert valkey.socket.stat().st_mode & 0o777 == 0o700


def test_comes_back_after_kill_9_with_what_it_held(valkey: Valkey) -> None:
    with closing(client(valkey)) as connection:
        connection.set("kept", "yes")
    assert valkey.process is not None
    valkey.process.kill()
    valkey.process.wait()
    assert not valkey.answers()
    valkey.start()
    valkey.wait_ready()
    with closing(client(valkey)) as connection:
        assert connection.get("kept") == "yes"


def test_stop_leaves_nothing(valkey: Valkey) -> None:
    valkey.stop()
    assert working_in(valkey.data) == []
    assert not valkey.socket.exists()
    valkey.stop()


def test_stop_ends_a_server_that_does_not_listen(valkey: Valkey) -> None:
    assert valkey.process is not None
    process = valkey.process
    process.send_signal(signal.SIGSTOP)
    valkey.stop(patience=(0.2, 5.0))
    assert process.poll() == -signal.SIGKILL


def test_damaged_data_is_a_sentence(valkey: Valkey) -> None:
    with closing(client(valkey)) as connection:
        connection.set("kept", "yes")
    valkey.stop()
    for part in (valkey.data / "appendonlydir").glob("*.incr.aof"):
        part.write_bytes(b"nonsense\r\n" * 20)
    valkey.start()
    with pytest.raises(SetupError, match=r"Valkey did not start: .* move it away"):
        valkey.wait_ready()


def test_a_file_where_a_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(SetupError, match="cannot be made"):
        Valkey(tmp_path / "taken" / "data", runtime=Path("/tmp")).prepare()


def test_a_runtime_folder_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="COUNTERSIGN_RUNTIME_DIR"):
        Valkey(tmp_path / "data", runtime=tmp_path / ("x" * 100)).prepare()
    assert not (tmp_path / "data").exists()


def test_a_server_that_left_no_log(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="it left no log"):
        Valkey(tmp_path / "data", runtime=tmp_path / "run").wait_ready(timeout=0.0)
