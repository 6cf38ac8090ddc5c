"""What `./run` and `./test` do before any Python of ours runs, in a folder with spaces."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the scripts with requirements that need no network."""
    project = tmp_path / "a folder with spaces" / "main"
    shutil.copytree(ROOT / "scripts", project / "scripts")
    (project / "requirements.txt").write_text("# nothing\n")
    return project


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment made once, to be copied."""
    folder = tmp_path_factory.mktemp("made") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


def tools(folder: Path) -> Path:
    """A PATH with what the scripts need and without any Python or uv."""
    folder.mkdir()
    for name in "bash env dirname cat df awk mkdir rm id tail cut tee grep head".split():  # noqa: SIM905
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return folder


def prepare(project: Path, path: Path | str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["scripts/prepare", "run", "requirements.txt"],
        cwd=project,
        env={"PATH": str(path), "HOME": str(project.parent), **more},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_prepares_once_and_is_then_quiet_and_quick(project: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    first = prepare(project, path, PYTHON=sys.executable)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("Making .venv with Python 3.")
    assert "Installing the packages" in first.stdout
    started = time.monotonic()
    second = prepare(project, path, PYTHON=sys.executable)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert time.monotonic() - started < 2
    (project / "requirements.txt").write_text("# something else\n")
    third = prepare(project, path, PYTHON=sys.executable)
    assert third.returncode == 0
    assert "Making .venv" not in third.stdout
    assert "Installing the packages" in third.stdout


@pytest.mark.long
def test_a_package_that_does_not_fit_its_hash_is_refused(project: Path, tmp_path: Path, environment: Path) -> None:
    shutil.copytree(environment, project / ".venv", symlinks=True)
    path = tools(tmp_path / "bin")
    (project / "requirements.txt").write_text(f"./scripts --hash=sha256:{'0' * 64}\n")
    done = prepare(project, path, PYTHON=sys.executable)
    assert done.returncode == 2
    assert "The packages could not be installed; see " in done.stderr
    again = prepare(project, path, PYTHON=sys.executable)
    assert again.returncode == 2, "a failed installation must not count as done"


@pytest.mark.long
def test_uv_is_brought_where_it_is_missing_and_pip_goes_on_without(
    project: Path, tmp_path: Path, environment: Path
) -> None:
    shutil.copytree(environment, project / ".venv", symlinks=True)
    path = tools(tmp_path / "bin")
    bring = project / "requirements-uv.txt"
    bring.write_text(f"./scripts --hash=sha256:{'0' * 64}\n")
    done = prepare(project, path, PYTHON=sys.executable)
    assert (done.returncode, "with uv" in done.stdout) == (0, False), done.stdout + done.stderr
    broken = project / ".venv" / "bin" / "uv"
    broken.write_text("#!/bin/sh\necho no network >&2\nexit 2\n")
    broken.chmod(0o755)
    (project / "requirements.txt").write_text("# something else\n")
    done = prepare(project, path, PYTHON=sys.executable)
    assert (done.returncode, "uv did not manage (no network); trying pip" in done.stdout) == (0, True), done.stdout
    broken.unlink()
    shutil.copy(ROOT / "requirements-uv.txt", bring)
    (project / "requirements.txt").write_text("# yet something else\n")
    done = prepare(project, path, PYTHON=sys.executable)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "- with uv"), done.stdout + done.stderr


def test_python_too_old_or_missing_is_a_sentence(project: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    old = path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = prepare(project, path)
    assert done.returncode == 2
    assert done.stderr.startswith("Countersign needs Python 3.11 or later and found none on PATH.")
    assert not (project / ".venv" / "bin").exists()


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system's own is none or old")
def test_the_systems_own_python_goes_first(project: Path, tmp_path: Path) -> None:
    own = Path("/usr/bin/python3")
    if not own.exists() or subprocess.run([own, "-c", "import ensurepip"], check=False).returncode != 0:
        pytest.skip("this system has no Python that makes environments")
    path, used = tools(tmp_path / "bin"), tmp_path / "used"
    other = path / "python3.11"
    other.write_text(f'#!/bin/sh\n: > {shlex.quote(str(used))}\nexec {shlex.quote(sys.executable)} "$@"\n')
    other.chmod(0o755)
    done = prepare(project, f"{path}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert not used.exists()
    assert (project / ".venv" / "bin" / "python").resolve() == own.resolve()


def test_a_python_without_venv_is_a_sentence(project: Path, tmp_path: Path) -> None:
    path = tools(tmp_path / "bin")
    bare = path / "python3"
    python = shlex.quote(sys.executable)
    bare.write_text(f'#!/bin/sh\n[ "$1" = -m ] && {{ echo "No module named venv" >&2; exit 1; }}\nexec {python} "$@"\n')
    bare.chmod(0o755)
    done = prepare(project, path)
    assert done.returncode == 2
    assert "cannot make a virtual environment" in done.stderr
    assert "apt install python3-venv" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("status", [1, 0])
def test_uv_is_used_where_it_works_and_pip_where_it_does_not(
    project: Path, tmp_path: Path, environment: Path, status: int
) -> None:
    shutil.copytree(environment, project / ".venv", symlinks=True)
    path = tools(tmp_path / "bin")
    uv = path / "uv"
    uv.write_text(f'#!/bin/sh\necho "cannot reach" >&2\nexit {status}\n')
    uv.chmod(0o755)
    done = prepare(project, path, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert "- with uv" in done.stdout
    assert ("trying pip" in done.stdout) == bool(status)


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write everywhere")
def test_a_folder_that_cannot_be_written_is_a_sentence(project: Path) -> None:
    project.chmod(0o555)
    try:
        done = prepare(project, os.environ["PATH"])
    finally:
        project.chmod(0o755)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_a_browser_that_is_not_there_is_a_sentence() -> None:
    done = subprocess.run(
        ["scripts/find_browser"], cwd=ROOT, env={**os.environ, "CHROMIUM": "/nowhere/chromium"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert "apt install chromium" in done.stderr


@pytest.mark.parametrize(
    "script", ["run", "test", ".ci/run", "scripts/prepare", "scripts/find_browser", "scripts/lock"]
)
def test_scripts_are_executable_and_parse(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", script], cwd=ROOT, check=True)
