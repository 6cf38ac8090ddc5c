"""Rules about the files themselves: how long, what they may hold, what they may be called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.writes import PACKAGES, ROOT

LONGEST = 400
# The verifier is one file on purpose: an auditor copies it, reads it and runs it without installing anything.
ONE_FILE = Path("client/countersign_verify.py")
TEXTS = (".md", ".py", ".html", ".toml", ".yml", ".yaml", ".css", ".js")
NAMES = {
    "common",
    "core",
    "utils",
    "util",
    "helpers",
    "helper",
    "managers",
    "misc",
    "signals",
    "selectors",
    "repositories",
}
INLINE = re.compile(r"\sstyle\s*=|<style\b|<script\b(?![^>]*\bsrc=)|\son[a-z]+\s*=\s*[\"']|javascript:", re.IGNORECASE)


def modules() -> Iterator[Path]:
    for package in (*PACKAGES, "tests", "bench", "client", "scripts"):
        for path in (ROOT / package).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path


def project_files() -> Iterator[Path]:
    for folder, inner, names in os.walk(ROOT):
        inner[:] = [name for name in inner if not name.startswith(".") and name not in ("__pycache__", "migrations")]
        yield from (Path(folder, name) for name in names if name.endswith(TEXTS))


def test_no_module_is_too_long():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in modules()
        if (lines := path.read_text().count("\n")) > LONGEST and path.relative_to(ROOT) != ONE_FILE
    }
    assert long == {}


def test_names_say_what_is_inside():
    assert [str(path.relative_to(ROOT)) for path in modules() if path.stem in NAMES or path.parent.name in NAMES] == []


def test_templates_hold_no_inline_style_or_script():
    found = [
        f"{path.relative_to(ROOT)}: {match[0].strip()}"
        for path in (ROOT / "templates").rglob("*.html")
        if (match := INLINE.search(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_the_rule_for_templates_can_be_broken():
    bad = ['<p style="x">', "<style>", "<script>x()</script>", '<a onclick="x">', '<a href="javascript:x">']
    assert all(INLINE.search(text) for text in bad)
    assert not INLINE.search('<script src="a.js" defer></script><p class="style" data-on="x">')


def test_nothing_is_left_for_later():
    marks = re.compile("|".join(f"\\b{one}" for one in ("TO" + "DO", "FIX" + "ME", "XX" + "X\\b", "HA" + "CK\\b")))
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in project_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert left == []


def test_no_page_of_the_project_names_a_machine():
    names = re.compile("/" + "work/|/" + "tmp/team|/" + "root/")
    found = [str(path.relative_to(ROOT)) for path in project_files() if names.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_only_settings_read_the_environment():
    """`os.environ` elsewhere only sets the settings' name, or hands an environment on to a child."""
    allowed = re.compile(
        r"os\.environ\.setdefault\(\"(DJANGO_SETTINGS_MODULE|[A-Z_]+)\"|\*\*os\.environ|dict\(os\.environ\)|os\.environ\.copy"
    )
    found = []
    for path in modules():
        where = path.relative_to(ROOT)
        if where.parts[0] in ("tests", "bench", "client", "scripts") or where.parts[:2] == ("portal", "supervisor"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"os\.(environ|getenv)", line) and not allowed.search(line):
                found.append(f"{where}:{number} {line.strip()}")
    assert found == []
