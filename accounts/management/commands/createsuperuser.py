"""Takes the place of Django's command: there are no superusers here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Refuses: there are no superusers. See create_administrator."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rest", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError('There are no superusers. Use: manage.py create_administrator EMAIL "Full Name"')
