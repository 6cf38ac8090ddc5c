"""Celery tasks of the accounts floor."""

from __future__ import annotations

from celery import shared_task

from accounts.models import User
from accounts.takeover import mail
from accounts.takeover.links import reset_text
from accounts.takeover.services import MAIL_RESET


@shared_task(name=MAIL_RESET)  # type: ignore[untyped-decorator]
def mail_reset_link(account_id: int) -> None:
    """The link is made here, so that its secret never lies in the broker."""
    account = User.objects.filter(pk=account_id, is_active=True).first()
    if account is not None and account.has_usable_password():
        mail.send_reset(account, reset_text(account, None), None)
