"""Takes the place of Django's command, which would set a password behind the governed door."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Refuses: nobody sets a password for somebody else."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("rest", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Nobody sets a password for somebody else. Make a link: manage.py make_reset_link EMAIL")
