"""The two ways the domain says no: this Refusal, and Django's PermissionDenied."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied


class Refusal(Exception):
    """An act that cannot be done, with a stable code for programs and a sentence for people that says what to do.

    `field` is the path of the input at fault (`decision_rule.at_least`), or None where no single input is.
    """

    def __init__(self, code: str, sentence: str, field: str | None = None) -> None:
        super().__init__(sentence)
        self.code, self.sentence, self.field = code, sentence, field


class Denied(PermissionDenied):
    """The actor lacks the permission for this object. Insiders are told which; outsiders got 404 before."""

    code = "permission_denied"

    def __init__(self, permission: str) -> None:
        self.permission = permission
        self.sentence = (
            f"You may not do this: it needs the permission “{permission}” here. A platform administrator can grant a "
            "role that has it."
        )
        super().__init__(self.sentence)


def require_reason(reason: str, field: str = "reason") -> None:
    """Raises Refusal `reason_needed`."""
    if len(reason.strip()) < 3:
        raise Refusal("reason_needed", "Say why, in a few words. The reason is kept in the audit log.", field)
