"""The private keys of log and portal: where they are read from, what makes one unfit, how they are kept in a file.

A file holds one key a line, as golang.org/x/mod/sumdb/note writes it. Only reading the settings needs Django.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from ledger.notes import ED25519, SigningKey, VerifierKey

LARGEST = 64 * 1024
WHOSE = {"LOG_KEY": "the log's key", "PORTAL_KEY": "the portal's key"}


class KeyFault(Exception):
    """A key that cannot be used; the text is one sentence that says what to do, and never shows the key."""


def make(path: str | Path = "PATH", name: str = "NAME") -> str:
    """The command that makes a key."""
    return f"`python -m ledger.log_key new {path} --name {name}`"


def portal_name(origin: str) -> str:
    """The name of the portal's key, which is not the log's."""
    return f"{origin}/portal"


def needless(mode: int, *, ours: bool) -> int:
    """The bits of a key file's mode that let in somebody who has no need for it.

    A file of somebody else's (a secret that a container engine mounts) can be read by us only through its group.
    """
    return stat.S_IMODE(mode) & (0o077 if ours else 0o037)


def read(path: Path, setting: str, name: str = "NAME") -> str:
    """The text of a key's file. Raises KeyFault where it is missing, unreadable, too open or too large."""
    whose = WHOSE[setting]
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise KeyFault(
            f"{whose.capitalize()} {path} does not exist. Restore it from a backup, or make one with "
            f"{make(path, name)}."
        ) from None
    except OSError as error:
        raise KeyFault(
            f"{whose.capitalize()} {path} cannot be read ({error.strerror}). It belongs in a file of its own, owned by "
            "the account that runs this process, mode 0400."
        ) from None
    if bits := needless(found.st_mode, ours=found.st_uid == os.geteuid()):
        raise KeyFault(
            f"{whose.capitalize()} {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o}): run "
            f"`chmod {stat.S_IMODE(found.st_mode) & ~bits & 0o640 or 0o400:04o} {path}`, and take a new key if anybody "
            "may have read it."
        )
    if len(text) > LARGEST:
        raise KeyFault(f"{path} is too large for {whose}. Look whether {setting}_FILE names the right file.")
    return text.decode("ascii", errors="replace")


def parse(text: str, setting: str, where: str) -> tuple[SigningKey, ...]:
    """The keys of a text, one a line. Raises KeyFault for none, for what is no Ed25519 key, and for one twice."""
    try:
        keys = tuple(SigningKey.from_text(line) for line in text.splitlines() if line.strip())
    except ValueError:  # its text could show part of the key
        keys = ()
    if not keys or any(key.kind != ED25519 for key in keys):
        raise KeyFault(
            f"{where} does not hold {WHOSE[setting]}: a line for each, which begins with PRIVATE+KEY+. Restore it from "
            f"a backup, or make one with {make()}."
        )
    if len({key.verifier for key in keys}) < len(keys):
        raise KeyFault(f"{where} holds the same key twice. Take one of the two lines out.")
    return keys


def load(setting: str, *, value: str, file: str, name: str = "NAME") -> tuple[SigningKey, ...]:
    """The keys that a setting gives as a value or names the file of; `name` is for the advice. Raises KeyFault."""
    if value:
        return parse(value, setting, setting)
    if not file:
        raise KeyFault(
            f"{WHOSE[setting].capitalize()} is missing. Make one with {make(name=name)}, then set {setting}_FILE to "
            "that path."
        )
    return parse(read(Path(file), setting, name), setting, file)


def named(keys: Sequence[SigningKey], origin: str) -> None:
    """Raise KeyFault unless each key bears the log's name, which is how a reader of a checkpoint finds it."""
    for key in keys:
        if key.name != origin:
            raise KeyFault(
                f"The log's key is named {key.name}, but LOG_ORIGIN is {origin}. Set LOG_ORIGIN to the key's name; or, "
                f"to begin another log, make a key with {make(name=origin)}."
            )


def refuse_same(keys: Iterable[SigningKey], others: Iterable[VerifierKey]) -> None:
    """Raise KeyFault where one key would sign for log and portal."""
    if {key.verifier.public for key in keys} & {other.public for other in others}:
        raise KeyFault(
            "Log and portal have the same key, so that who answers people could also sign checkpoints. Make another "
            f"for the portal with {make()}."
        )


def write(path: Path, keys: Iterable[SigningKey]) -> None:
    """Write the keys for their owner only, whole or not at all; owner and tightness of a file before it stay."""
    mode, owner = 0o600, None
    with contextlib.suppress(FileNotFoundError):
        before = path.stat()
        mode, owner = stat.S_IMODE(before.st_mode) & 0o640, (before.st_uid, before.st_gid)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{key.text}\n" for key in keys)
        if owner and owner != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def log_keys() -> tuple[SigningKey, ...]:
    """The keys that sign checkpoints, for the sequencer alone. Raises KeyFault."""
    keys = load("LOG_KEY", value=settings.LOG_KEY, file=settings.LOG_KEY_FILE, name=settings.LOG_ORIGIN)
    named(keys, settings.LOG_ORIGIN)
    return keys


def portal_key() -> SigningKey:
    """The key that signs receipts. Raises KeyFault."""
    return _portal_key(settings.PORTAL_KEY, settings.PORTAL_KEY_FILE, settings.LOG_ORIGIN)


@lru_cache(maxsize=4)
def _portal_key(value: str, file: str, origin: str) -> SigningKey:
    if settings.TESTING and not value and not file:
        seed = sha256(f"portal {settings.SECRET_KEY}".encode()).digest()
        return SigningKey(portal_name(origin), ED25519, Ed25519PrivateKey.from_private_bytes(seed))
    return load("PORTAL_KEY", value=value, file=file, name=portal_name(origin))[-1]


def portal_vkeys() -> tuple[VerifierKey, ...]:
    """Public keys of the portal that the sequencer is told to publish. Raises KeyFault."""
    try:
        return tuple(VerifierKey.parse(vkey) for vkey in settings.PORTAL_VKEY.split())
    except ValueError:
        raise KeyFault(
            "PORTAL_VKEY is no list of public keys. `python -m ledger.log_key show PATH`, with the portal's key, "
            "prints the one to set."
        ) from None
