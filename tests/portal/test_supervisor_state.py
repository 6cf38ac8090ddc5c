"""What a copy of the portal keeps, and every way in which that can be damaged."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ledger import keys
from ledger.notes import SigningKey
from portal.supervisor import state as module
from portal.supervisor.__main__ import main
from portal.supervisor.faults import SetupError
from portal.supervisor.processes import (
    GATEWAY,
    PROCESSES,
    environment,
    external_databases,
    preparing,
    rotate,
    serving,
    several,
)
from portal.supervisor.state import FIRST_PORT, AlreadyRunning, State, listen


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "a copy" / ".countersign")
    state.open()
    yield state
    state.close()


def test_the_folder_is_private_and_a_second_run_is_told_where_the_first_is(state: State) -> None:
    assert state.folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(AlreadyRunning, match="is still starting"):
        State(state.folder).open()
    state.announce("http://127.0.0.1:8123", "http://127.0.0.1:8124")
    with pytest.raises(AlreadyRunning, match=rf"at http://127\.0\.0\.1:8123 \(process {os.getpid()}\).*Ctrl-C"):
        State(state.folder).open()
    state.close()
    again = State(state.folder)
    again.open()
    again.close()


def test_the_command_says_it_in_one_line_and_a_status(state: State, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--once"], {"COUNTERSIGN_DIR": str(state.folder)}) == 1
    assert capsys.readouterr().err.startswith("Countersign is already running from this folder")
    state.close()
    assert main(["--once"], {"COUNTERSIGN_DIR": str(state.folder), "WEB_PORT": "none"}) == 2
    assert capsys.readouterr().err == "WEB_PORT=none is no port; choose a number from 1 to 65535.\n"
    (state.folder / "ports.json").mkdir()
    assert main(["--no-demo"], {"COUNTERSIGN_DIR": str(state.folder)}) == 2
    assert "ports.json" in capsys.readouterr().err
    state.open()


def test_secrets_are_made_once_for_their_owner_only(state: State) -> None:
    path = state.secret("secret_key")
    assert path.stat().st_mode & 0o777 == 0o600
    first = path.read_text()
    assert len(first) == 86
    assert state.secret("secret_key").read_text() == first
    assert state.secret("key_pepper").read_text() != first
    assert not list(path.parent.glob("*.new"))


@pytest.mark.parametrize("damage", ["", "short", None])
def test_a_damaged_secret_is_a_sentence_and_not_replaced(state: State, damage: str | None) -> None:
    path = state.folder / "secrets" / "secret_key"
    if damage is None:
        path.mkdir()
    else:
        path.write_text(damage)
    with pytest.raises(SetupError, match=r"is damaged.*Restore it from a backup"):
        state.secret("secret_key")
    assert path.is_dir() or path.read_text() == damage


@pytest.mark.parametrize("part", ["", "secrets", "logs"])
def test_a_file_where_a_folder_belongs_is_a_sentence(tmp_path: Path, part: str) -> None:
    folder = tmp_path / ".countersign"
    if part:
        folder.mkdir()
    (folder / part if part else folder).write_text("not a folder")
    with pytest.raises(SetupError, match=r"is in the way: a folder belongs there. Move it away"):
        State(folder).open()


def test_a_folder_that_cannot_be_written_is_a_sentence() -> None:
    with pytest.raises(SetupError, match=r"cannot be written .*COUNTERSIGN_DIR"):
        State(Path("/proc/countersign")).open()


def test_a_full_disk_is_a_sentence(state: State) -> None:
    error = OSError(28, "No space left on device", "somewhere")
    assert state.explain(error) == "No disk space: somewhere cannot be written. Free some, then run again."


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_account_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / ".countersign"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(SetupError, match=r"belongs to another account \(user id 12345\)"):
        State(folder).open()


def test_ports_are_remembered_and_held(state: State) -> None:
    with ExitStack() as stack:
        web, gateway = (stack.enter_context(one) for one in state.sockets(None, None))
        ports = [one.getsockname()[1] for one in (web, gateway)]
        assert FIRST_PORT <= ports[0] < ports[1]
        assert listen(ports[0]) is None
        # Another copy finds others.
        other = State(state.folder.parent / "other")
        other.open()
        stack.callback(other.close)
        others = [stack.enter_context(one).getsockname()[1] for one in other.sockets(None, None)]
        assert not set(ports) & set(others)
    with ExitStack() as stack:
        again = [stack.enter_context(one).getsockname()[1] for one in state.sockets(None, None)]
    assert again == ports


@pytest.mark.parametrize("text", ["{", "[]", '{"web": "x", "gateway": 1}', ""])
def test_damaged_memory_of_ports_only_means_new_ports(state: State, text: str) -> None:
    (state.folder / "ports.json").write_text(text)
    for one in state.sockets(None, None):
        one.close()
    assert set(json.loads((state.folder / "ports.json").read_text())) == {"web", "gateway"}


def test_a_wanted_port_in_use_is_a_sentence(state: State) -> None:
    taken = listen(0)
    assert taken is not None
    with taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(SetupError, match=f"Port {port} is in use .*choose another WEB_PORT"):
            state.sockets(port, None)


@pytest.mark.parametrize("text", ["", "many", "0", "70000", "-1"])
def test_a_wanted_port_that_is_none_is_a_sentence(state: State, text: str) -> None:
    with pytest.raises(SetupError, match=r"GATEWAY_PORT=.* is no port"):
        state.sockets(None, text)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's database is in the folder itself")
def test_as_root_the_database_is_elsewhere_and_known(state: State, tmp_path: Path) -> None:
    data = state.database_folder()
    try:
        assert data == module.ROOT_DATA / state.hash / "postgres"
        state.remember_database(data)
        with pytest.raises(SetupError, match="of this copy is gone"):
            state.database_folder()
        data.mkdir()
        assert state.database_folder() == data
        (state.folder / "postgres.path").write_text("/var/lib/countersign/other/postgres\n")
        with pytest.raises(SetupError, match="was copied or moved"):
            state.database_folder()
    finally:
        data.rmdir()
        data.parent.rmdir()


def test_the_runtime_folder_is_short_and_ours(state: State, tmp_path: Path) -> None:
    folder = state.runtime()
    assert len(str(folder)) < 60
    assert folder.stat().st_uid == os.geteuid()
    assert folder.stat().st_mode & 0o066 == 0
    folder.rmdir()
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(SetupError, match=r"cannot be written|is not ours|is in the way"):
            state.runtime()
    finally:
        folder.unlink()


def test_one_or_two_database_urls_are_refused() -> None:
    assert external_databases({}) == {}
    with pytest.raises(SetupError, match="DATABASE_URL is set but not MIGRATION_DATABASE_URL and SEQUENCER"):
        external_databases({"DATABASE_URL": "postgres:///x"})
    three = dict.fromkeys(("DATABASE_URL", "MIGRATION_DATABASE_URL", "SEQUENCER_DATABASE_URL"), "postgres:///x")
    assert external_databases({**three, "OTHER": "y"}) == three


def test_what_processes_are_told(state: State) -> None:
    given = {"SECRET_KEY": "given", "ARTIFACT_ROOT": "/given", "REDIS_URL": "redis://given"}
    urls = dict.fromkeys(("DATABASE_URL", "MIGRATION_DATABASE_URL", "ADMIN_DATABASE_URL"), "postgres:///x")
    told = environment(
        state, web="http://w", gateway="http://g", databases=urls, redis="unix:///r", broker="b", given=given
    )
    assert told["ARTIFACT_ROOT"] == "/given"
    assert "SECRET_KEY_FILE" not in told
    assert told["KEY_PEPPER_FILE"] == str(state.folder / "secrets" / "key_pepper")
    assert told["PUBLIC_URL"] == "http://w"
    assert told["REDIS_URL"] == "unix:///r"
    assert serving(told)["DATABASE_URL"] == "postgres:///x"
    assert not {"MIGRATION_DATABASE_URL", "ADMIN_DATABASE_URL"} & serving(told).keys()


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    rotate(log)
    log.write_text("x" * 100)
    rotate(log)
    assert log.exists()
    rotate(log, limit=50)
    assert not log.exists()
    assert (tmp_path / "web.log.1").read_text() == "x" * 100


def test_every_process_can_be_found_by_python() -> None:
    for process in PROCESSES:
        subprocess.run([sys.executable, "-m", process.command[0], "--version"], check=True, capture_output=True)


def told(state: State, **given: str) -> dict[str, str]:
    return environment(state, web="w", gateway="g", databases={}, redis="r", broker="b", given=given)


def test_as_many_gateways_as_wanted() -> None:
    assert several(PROCESSES, {}) == list(PROCESSES)
    three = several(PROCESSES, {"GATEWAY_PROCESSES": "3"})
    assert [each.name for each in three if each.command == GATEWAY.command] == ["gateway", "gateway-2", "gateway-3"]
    assert [each for each in three if each.command != GATEWAY.command] == [
        each for each in PROCESSES if each != GATEWAY
    ]
    for wrong in ("0", "65", "two", "-1", "1.5"):
        with pytest.raises(SetupError, match=f"GATEWAY_PROCESSES={wrong} is no number of processes"):
            several(PROCESSES, {"GATEWAY_PROCESSES": wrong})


def test_signing_keys_are_made_once_apart_and_for_their_owner_only(state: State) -> None:
    first = told(state)
    log, portal = Path(first["LOG_KEY_FILE"]), Path(first["PORTAL_KEY_FILE"])
    assert {path.stat().st_mode & 0o777 for path in (log, portal)} == {0o600}
    texts = log.read_text(), portal.read_text()
    key = SigningKey.from_text(texts[0])
    assert first["LOG_ORIGIN"] == key.name == f"countersign.local/{state.hash}"
    assert first["PORTAL_VKEY"] == SigningKey.from_text(texts[1]).vkey
    assert told(state) == first
    assert (log.read_text(), portal.read_text()) == texts


def test_a_copy_that_was_moved_keeps_the_name_of_its_log(state: State) -> None:
    origin = told(state)["LOG_ORIGIN"]
    state.close()
    moved = State(state.folder.parent.rename(state.folder.parent.with_name("moved")) / ".countersign")
    moved.open()
    assert moved.hash != state.hash
    assert told(moved)["LOG_ORIGIN"] == origin
    moved.close()


def lost(state: State) -> None:
    """The log has begun and its key is gone."""
    (state.folder / "log" / "0123").mkdir()
    (state.folder / "log" / "0123" / "checkpoint").write_text("countersign.local/before\n1\n…\n")


def same(state: State) -> None:
    key = SigningKey.generate("a/log")
    keys.write(state.folder / "secrets" / "log_key", [key])
    keys.write(state.folder / "secrets" / "portal_key", [SigningKey("a/log/portal", key.kind, key.private)])


def opened(state: State) -> None:
    keys.write(state.folder / "secrets" / "log_key", [SigningKey.generate("a/log")])
    (state.folder / "secrets" / "log_key").chmod(0o644)


def empty(state: State) -> None:
    (state.folder / "secrets" / "portal_key").touch(0o600)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lost, r"log_key does not exist\. Restore it .* --name countersign\.local/before"),
        (same, "Log and portal have the same key"),
        (opened, r"open to others \(mode 0644\): run `chmod 0600"),
        (empty, "portal_key does not hold the portal's key"),
    ],
)
def test_keys_that_are_unfit_are_a_sentence_and_not_replaced(
    state: State, damage: Callable[[State], None], words: str
) -> None:
    damage(state)
    before = {path.name: path.read_bytes() for path in (state.folder / "secrets").iterdir()}
    with pytest.raises(SetupError, match=words):
        told(state)
    after = {path.name: path.read_bytes() for path in (state.folder / "secrets").iterdir()}
    assert before.items() <= after.items()
    assert ("log_key" in after) == (damage is not lost)


def test_an_operators_own_keys_are_taken_and_judged(state: State, tmp_path: Path) -> None:
    log, portal = SigningKey.generate("example.org/log"), SigningKey.generate("example.org/receipts")
    keys.write(tmp_path / "log", [log])
    found = told(state, LOG_KEY_FILE=str(tmp_path / "log"), PORTAL_KEY=portal.text, LOG_ORIGIN=log.name)
    assert (found["LOG_KEY_FILE"], found["PORTAL_VKEY"]) == (str(tmp_path / "log"), portal.vkey)
    assert "PORTAL_KEY_FILE" not in found
    assert not {"log_key", "portal_key"} & set(os.listdir(state.folder / "secrets"))
    with pytest.raises(SetupError, match=r"is named example\.org/log, but LOG_ORIGIN is other"):
        told(state, LOG_KEY=log.text, PORTAL_KEY=portal.text, LOG_ORIGIN="other")


def test_each_process_is_told_its_own_secrets(state: State) -> None:
    everything = told(state) | dict.fromkeys(
        ("ADMIN_DATABASE_URL", "MIGRATION_DATABASE_URL", "SEQUENCER_DATABASE_URL", "LOG_KEY", "PORTAL_KEY"), "x"
    )
    withheld = {process.name: set(everything) - set(serving(everything, process)) for process in PROCESSES}
    seals, receipts = {"SEQUENCER_DATABASE_URL", "LOG_KEY", "LOG_KEY_FILE"}, {"PORTAL_KEY", "PORTAL_KEY_FILE"}
    owners = {"ADMIN_DATABASE_URL", "MIGRATION_DATABASE_URL"}
    assert withheld == {
        "sequencer": owners | receipts, "web": owners | seals, "worker": owners | seals,
        **dict.fromkeys(("scheduler", "gateway"), owners | seals | receipts),
    }  # fmt: skip
    assert set(everything) - set(preparing(everything)) == receipts | {"LOG_KEY", "LOG_KEY_FILE"}
