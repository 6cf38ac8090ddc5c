"""No secret in any log: whatever a test has captured, and every log file that the run leaves behind, is looked through.

What is captured holds the output of this process and of those it started (web, worker, gateway, sequencer, commands).
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cast import PASSWORD

SECRETS = {
    "an inference key": re.compile(r"cs_live_[0-9a-z]{8}_[0-9A-Za-z]{43}"),
    "an API token": re.compile(r"cst_[0-9a-z]{8}_[0-9A-Za-z_-]{43}"),
    "the secret of a webhook": re.compile(r"whsec_[0-9A-Za-z+/=]{20}"),
    "a one-time link": re.compile(r"/sign-in/(?:invitation|reset|factors)/[0-9A-Za-z_-]{12}"),
    "a private key": re.compile(
        r"PRIVATE KEY-----\s*[0-9A-Za-z+/]{40}|PRIVATE\+KEY\+[^\s+]+\+[0-9a-f]{8}\+[0-9A-Za-z+/]{20}"
    ),
    "the password of an account": re.compile(re.escape(PASSWORD)),
    "a password in an address": re.compile(r"://[^\s/:@']{0,80}:[^\s/@'*<>]{1,80}@[a-z0-9]"),
}
LOGS = (".log", ".log.1")


def leaks(text: str) -> list[str]:
    """Which kinds of secret a text has, each with the few characters before it."""
    return [
        f"{what}, after {text[max(0, found.start() - 40) : found.start()]!r}"
        for what, shape in SECRETS.items()
        if (found := shape.search(text))
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    if report.passed and (told := of_sections(report.sections)):
        report.outcome, report.longrepr = "failed", "\n".join(told)
    return report


def of_sections(sections: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name}: {found}" for name, text in sections for found in leaks(text)]


def of_files(folders: Iterable[Path]) -> Iterator[str]:
    for folder in folders:
        for place, inside, names in os.walk(folder):
            inside[:] = [name for name in inside if name not in ("base", "pg_wal", "artifacts")]
            for name in names:
                if name.endswith(LOGS):
                    text = (Path(place) / name).read_text(errors="replace")
                    yield from (f"{name}: {found}" for found in leaks(text))


@pytest.fixture(scope="session", autouse=True)
def no_secret_in_any_log_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    yield
    told = list(of_files([tmp_path_factory.getbasetemp(), Path(os.environ["CST_TEST_TOP"])]))
    assert not told, "\n".join(told)
