"""What the process in which a model runs can no longer do."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from registry.onnx.sandbox import ROOT, Scorer
from tests.fairness.files import LOAN_FEATURES, loan_model, loans
from tests.registry.models_onnx import refused

CONFINED = """
import os, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.path.append(sys.argv[1])
import socket, subprocess
from registry.onnx.confine import confine
print(sorted(confine(4 << 30, 20, os.getppid())))
for act in (
    lambda: socket.socket(),
    lambda: socket.socketpair(),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: subprocess.run(["/bin/true"]),
    lambda: bytearray(8 << 30),
    lambda: open("/tmp/countersign-big", "wb").write(bytes(2 << 20)),
):
    try:
        act()
        print("done")
    except BaseException as error:
        print(type(error).__name__)
"""


def test_the_confined_process_has_no_sockets_programs_memory_or_disk() -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", CONFINED, str(ROOT)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    Path("/tmp/countersign-big").unlink(missing_ok=True)
    seen = ran.stdout.splitlines()
    assert "no_sockets_or_programs" in seen[0], ran.stderr
    assert seen[1:] == ["PermissionError"] * 4 + ["MemoryError", "OSError"]


def test_the_confined_process_sees_none_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "do not pass on")
    with Scorer(loan_model(tmp_path)) as scorer:
        environment = Path(f"/proc/{scorer._process.pid}/environ").read_bytes()
        assert b"do not pass on" not in environment
        assert b"OPENBLAS" in environment
        assert b"ORT_DISABLE_TELEMETRY=1" in environment, "a model is nobody else's business"


def test_the_confined_process_dies_with_its_parent(tmp_path: Path) -> None:
    path = loan_model(tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from registry.onnx.sandbox import Scorer; import time\n"
        "s = Scorer(Path(sys.argv[2])).__enter__(); print(s._process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(ROOT), str(path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert Path(f"/proc/{child}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while alive(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(child)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_death_of_the_process_is_told(tmp_path: Path) -> None:
    columns = {name: loans()[name].to_numpy() for name in LOAN_FEATURES}
    with Scorer(loan_model(tmp_path)) as scorer:
        scorer._process.kill()
        sentence = refused("trial_run_failed", scorer.run, columns, "probabilities", LOAN_FEATURES)
    assert "exit code -9" in sentence
