"""The first administrator is made at the console; everybody else is invited from the pages."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Role, User
from accounts.services import add_account, grant_role
from ledger.actors import ORIGIN, Origin, SystemActor
from ledger.refusals import Refusal

CONSOLE = SystemActor("console", frozenset({"accounts.add_account", "accounts.grant_role"}))


class Command(BaseCommand):
    help = "Make a platform administrator. Asks for the password twice, or reads one line where input is piped in."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("name", help="full name, in quotes")

    def handle(self, *args: Any, **options: Any) -> None:
        origin = ORIGIN.set(Origin("console"))
        try:
            account = self.account(options["email"], options["name"])
            role = Role.objects.get(slug="platform_administrator")
            grant_role(by=CONSOLE, account=account, role=role, team=None, reason="made at the console")
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        finally:
            ORIGIN.reset(origin)
        self.stdout.write(f"{account.email} may now sign in as a platform administrator.")

    def account(self, email: str, name: str) -> User:
        """A new account, or the one that an interrupted run of this command left without its role."""
        left = User.objects.filter(email__iexact=email, kind=User.Kind.PERSON, is_active=True, grants=None).first()
        return left or add_account(by=CONSOLE, name=name, email=email, password=self.password())

    def password(self) -> str:
        if not sys.stdin.isatty():
            return sys.stdin.readline().rstrip("\r\n")
        first = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != first:
            raise CommandError("The two passwords are not the same. Run the command again.")
        return first
