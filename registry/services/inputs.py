"""What every act of the registry asks of its inputs."""

from __future__ import annotations

from accounts.models import User
from ledger.actors import Actor
from ledger.canonical import sha256
from ledger.refusals import Denied, Refusal
from registry.models import Text


def account_of(by: Actor) -> User:
    """The account behind an actor. Raises PermissionDenied for the system itself, which registers nothing."""
    if not isinstance(by, User):
        raise Denied("registry.register_model")
    return by


def words(text: str, field: str, *, most: int, least: int = 1) -> str:
    """The text without blanks around it. Raises Refusal `text_missing`, `too_long` or `text_invalid` for the field."""
    plain = text.replace("\r\n", "\n").strip()
    said = field.replace("_", " ").capitalize()
    if len(plain) < least:
        raise Refusal("text_missing", f"{said} is empty. Write it in a few words.", field)
    if len(plain) > most:
        raise Refusal("too_long", f"{said} has {len(plain):,} characters; at most {most:,} fit. Shorten it.", field)
    if any(ord(character) < 32 and character not in "\n\t" for character in plain):
        raise Refusal("text_invalid", f"{said} holds control characters. Type it anew.", field)
    return plain


def keep(*texts: str) -> None:
    """Keep texts that a record will hold the digest of. The change beneath every act that writes one."""
    rows = [Text(digest=sha256(text.encode()), text=text) for text in dict.fromkeys(texts) if text]
    Text.objects.bulk_create(rows, ignore_conflicts=True)
