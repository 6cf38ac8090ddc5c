"""Roles, tables, and the grants on them, in one process. Safe to run again, and to be run with every new release."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import connections

from ledger.first_tables import make_first_tables


class Command(BaseCommand):
    help = (
        "Create roles and database, migrate, and grant the roles their rights. Without ADMIN_DATABASE_URL it only "
        "migrates: roles and grants are then for whoever runs the database."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ADMIN_DATABASE_URL:
            call_command("provision_roles")
        make_first_tables(connections["migration"])
        call_command("migrate", database="migration", interactive=False, verbosity=0)
        if settings.ADMIN_DATABASE_URL:
            call_command("provision_roles")
