"""Reads LOG_ANCHORS: `[name=]kind:address[#option=value&…]`. No secret stands in it; files that hold one are named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ledger.anchors.bucket import Bucket
from ledger.anchors.folder import Folder
from ledger.anchors.http import loopback
from ledger.anchors.targets import Target
from ledger.anchors.timestamp import Authority
from ledger.anchors.webhook import Webhook
from ledger.anchors.witness import Witness, parse_key

ENTRY = re.compile(r"(?:(?P<name>[^=:/#]*)=)?(?P<kind>[^:=/#]*):(?P<address>[^#]*)(?:#(?P<options>.*))?", re.DOTALL)
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
PLAIN = re.compile(r"[!-~]+")
COMMON = {"every", "outside"}


class Misconfigured(ValueError):
    """An entry that cannot be used. The sentence says what to do and repeats nothing that could be secret."""


class Fault(NamedTuple):
    name: str
    sentence: str


@dataclass(frozen=True)
class Entry:
    name: str
    address: str
    options: Mapping[str, str]
    http: bool  # whether http:// is allowed everywhere

    @property
    def every(self) -> int:
        return self.number("every", 0, 0, 7 * 86400)

    def outside(self, otherwise: bool) -> bool:
        given = self.options.get("outside", "yes" if otherwise else "no")
        if given not in ("yes", "no"):
            raise Misconfigured("outside must be yes or no: could the portal's administrators alter what is there?")
        return given == "yes"

    def number(self, option: str, otherwise: int | None, least: int, most: int) -> int:
        given = self.options.get(option, "" if otherwise is None else str(otherwise))
        if not re.fullmatch(r"[0-9]{1,9}", given) or not least <= int(given) <= most:
            raise Misconfigured(f"Give {option} as a whole number from {least} to {most}, as in #{option}={most}.")
        return int(given)

    def file(self, option: str) -> Path:
        path = Path(self.options.get(option, ""))
        if not path.is_absolute():
            raise Misconfigured(f"Say with {option} which file holds it, by its whole path: #{option}=/run/secrets/….")
        return path

    @property
    def url(self) -> str:
        """The address, without a slash at its end. Raises Misconfigured as `checked` does."""
        return checked(self.address, self.http).rstrip("/")

    @property
    def bare_url(self) -> str:
        if "?" in self.url:
            raise Misconfigured("Its address must have no query (what stands after a question mark).")
        return self.url


def checked(address: str, http: bool = False) -> str:
    """The address. Raises Misconfigured unless it is https, or http to this machine, or http where that is allowed."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Misconfigured("Its address is no URL. Write it as in https://host/path.") from None
    if parts.scheme not in ("https", "http") or not host or not PLAIN.fullmatch(address):
        raise Misconfigured("Its address is no URL. Write it as in https://host/path, in ASCII.")
    if "@" in parts.netloc:
        raise Misconfigured("Its address holds a user or password. Take it out; secrets belong into files.")
    if parts.scheme == "http" and not http and not loopback(host):
        raise Misconfigured("Its address is http://, which anybody on the way can change. Use https://.")
    return address


def folder(entry: Entry) -> Target:
    path = Path(unquote(entry.address))
    if not path.is_absolute():
        raise Misconfigured("Give the folder by its whole path, as in folder:/srv/anchors.")
    return Folder(name=entry.name, every=entry.every, outside=entry.outside(False), path=path)


def bucket(entry: Entry) -> Target:
    return Bucket(
        name=entry.name, every=entry.every, outside=entry.outside(False), url=entry.bare_url,
        region=entry.options.get("region") or "us-east-1", days=entry.number("days", None, 1, 36500),
        credentials_file=entry.file("credentials_file"),
    )  # fmt: skip


def webhook(entry: Entry) -> Target:
    return Webhook(
        name=entry.name, every=entry.every, outside=entry.outside(False), url=entry.url,
        secret_file=entry.file("secret_file"),
    )  # fmt: skip


def authority(entry: Entry) -> Target:
    return Authority(
        name=entry.name, every=entry.every, outside=entry.outside(True), url=entry.url, ca_file=entry.file("ca_file")
    )


def witness(entry: Entry) -> Target:
    try:
        key = parse_key(entry.options.get("vkey", ""))
    except ValueError as error:
        raise Misconfigured(f"Give its verifier key as #vkey=name+hash+base64: {error}.") from None
    return Witness(name=entry.name, every=entry.every, outside=entry.outside(True), url=entry.bare_url, key=key)


KINDS: dict[str, tuple[Callable[[Entry], Target], set[str]]] = {
    "folder": (folder, set()),
    "s3": (bucket, {"region", "days", "credentials_file"}),
    "webhook": (webhook, {"secret_file"}),
    "tsa": (authority, {"ca_file"}),
    "witness": (witness, {"vkey"}),
}


def parse(entries: Iterable[str], http: bool = False) -> tuple[list[Target], list[Fault]]:
    """The targets that can be used, and what is wrong with the others; `http` allows http:// beyond loopback."""
    targets: dict[str, Target] = {}
    faults: list[Fault] = []
    for number, text in enumerate(entries, 1):
        label = f"anchor {number}"
        try:
            target = parse_one(text, http)
            label = target.name
            if label in targets:
                raise Misconfigured("Another anchor has this name. Put a name of its own before it: other=kind:….")
            targets[label] = target
        except Misconfigured as error:
            faults.append(Fault(label, str(error)))
    return list(targets.values()), faults


def parse_one(text: str, http: bool) -> Target:
    """Raises Misconfigured."""
    match = ENTRY.fullmatch(text.strip())
    if match is None or match["kind"] not in KINDS:
        raise Misconfigured(f"It is of no known kind. Begin it with one of {', '.join(f'{kind}:' for kind in KINDS)}.")
    kind = match["kind"]
    name = kind if match["name"] is None else match["name"]
    if not NAME.fullmatch(name):
        raise Misconfigured("Its name must have at most 40 of a–z, 0–9, dot, dash and underscore.")
    make, own = KINDS[kind]
    options = {}
    for pair in filter(None, (match["options"] or "").split("&")):
        option, _, value = pair.partition("=")
        if option not in own | COMMON:
            raise Misconfigured(f"It has an option unknown to {kind}, which knows {', '.join(sorted(own | COMMON))}.")
        options[option] = unquote(value)
    return make(Entry(name, match["address"], options, http))
