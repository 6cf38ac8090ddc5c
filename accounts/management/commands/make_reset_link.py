"""A link for a new password from the console: for the administrator whom nobody else can send one."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import User
from accounts.takeover.links import reset_link
from accounts.takeover.services import make_reset_link
from ledger.actors import ORIGIN, Origin, SystemActor
from ledger.refusals import Refusal

CONSOLE = SystemActor("console", frozenset({"accounts.manage_credentials"}))


class Command(BaseCommand):
    help = "Print a link with which a person sets a new password, once, within a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        account = User.objects.filter(email__iexact=options["email"]).first()
        if account is None:
            raise CommandError("Nobody has an account with this mail address.")
        origin = ORIGIN.set(Origin("console"))
        try:
            text = make_reset_link(by=CONSOLE, account=account, reason="asked for at the console")
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        finally:
            ORIGIN.reset(origin)
        self.stdout.write(reset_link(text))
