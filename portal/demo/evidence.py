"""What an auditor takes home: evidence packs and the log, checked by a program that knows no portal."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from portal.demo.browser import DemoFailed, Visitor, problem

VERIFIER = settings.BASE_DIR / "client" / "countersign_verify.py"
EXPORT_SECONDS = 60


def export(auditor: Visitor, kind: str) -> tuple[dict[str, Any], bytes]:
    """A finished export and its bytes. Raises DemoFailed where its digest is another."""
    return finished(auditor, "/exports", auditor.call("POST", "/exports/", json={"format": kind}))


def finished(auditor: Visitor, path: str, made: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    deadline, one = time.monotonic() + EXPORT_SECONDS, f"{path}/{made['id']}"
    while made["state"] in ("queued", "running"):
        if time.monotonic() > deadline:
            raise DemoFailed(f"{one} is still {made['state']} after {EXPORT_SECONDS} s.")
        time.sleep(0.2)
        made = auditor.call("GET", f"{one}/")
    if made["state"] != "succeeded":
        raise DemoFailed(f"{one} has {made['state']}: {made['error']}")
    answer = auditor.ask("GET", f"{one}/content/")
    if answer.status_code != 200:
        raise DemoFailed(f"The download of {one} was answered {answer.status_code}: {problem(answer)}")
    digest = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if digest != made["digest"]:
        raise DemoFailed(f"{one} says {made['digest']}, and what came is {digest}.")
    return made, answer.content


def take_pack(auditor: Visitor, request: int, folder: Path, say: Callable[[str, str], None]) -> None:
    """Take out what one request rests on, and check it."""
    made, zipped = finished(auditor, "/packs", auditor.call("POST", f"/requests/{request}/pack/"))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pack = folder / f"evidence-pack-{request}.zip"
    pack.write_bytes(zipped)
    verified(pack, published_keys(auditor), [])
    say("evidence pack", f"{made['files']} files about request {request}, {made['digest'][:23]}…, verified")


def published_keys(auditor: Visitor) -> list[str]:
    return [key["vkey"] for key in auditor.http.get("/log/keys").json()["keys"]]


def take_out(auditor: Visitor, folder: Path, promise: str, say: Callable[[str, str], None]) -> None:
    """Take the log out into `folder` and check it. `promise` is a receipt that somebody was given, or nothing.

    The checkpoint that the last run has left there shows whether the log only grew since.
    """
    made, lines = export(auditor, "jsonl")
    refused = sum(json.loads(line)["event"]["outcome"] == "refused" for line in lines.splitlines())
    say("audit export", f"{made['count']} entries, {refused} of them refusals, {made['digest'][:23]}…")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = folder / "checkpoint"
    given = ["--checkpoint", str(kept)] if kept.exists() else []
    if promise:
        (folder / "receipt").write_text(promise, encoding="utf-8")
        given += ["--receipt", str(folder / "receipt")]
    newest = auditor.http.get("/log/checkpoint").text
    keys = published_keys(auditor)
    made, zipped = export(auditor, "bundle")
    bundle = folder / "audit-log-bundle.zip"
    bundle.write_bytes(zipped)
    found = verified(bundle, keys, given)
    older = f", nothing lost since entry {kept.read_text().split()[1]}" if "--checkpoint" in given else ""
    acted = ", the receipt of the revocation is kept" if promise else ""
    kept.write_text(newest, encoding="utf-8")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    say("log bundle", f"{found['size']} entries, root {found['root'][:16]}…, {made['digest'][:23]}…")
    say("verified", f"by countersign-verify on Python {python} without any package{older}{acted}")


def verified(bundle: Path, keys: list[str], given: list[str]) -> dict[str, Any]:
    """What the stand-alone verifier says of a bundle or a pack. Raises DemoFailed unless that is: verified."""
    pinned = [part for key in keys for part in ("--key", key)]
    command = [sys.executable, "-I", "-S", str(VERIFIER), str(bundle), *pinned, *given]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise DemoFailed(f"The verifier says no: {done.stdout or done.stderr}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said
