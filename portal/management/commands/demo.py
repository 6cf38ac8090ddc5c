"""Does the main job on real data, through the public API and the pages, and says what was seen."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.models import Role
from ledger.actors import ORIGIN, Origin
from portal.demo import people
from portal.demo.browser import DemoFailed
from portal.demo.journey import Journey


class Command(BaseCommand):
    help = "Register, examine, sign, serve and revoke a real mortgage model. Works in embedded mode only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--web", default=settings.PUBLIC_URL)
        parser.add_argument("--gateway", default=settings.GATEWAY_URL)

    def handle(self, *args: Any, web: str, gateway: str, **options: Any) -> None:
        if not (settings.EMBEDDED or settings.TESTING):
            raise CommandError("The demo makes accounts with a known password: it runs only in embedded mode.")
        from portal.demo.mortgages import prepare

        ORIGIN.set(Origin("console"))
        start = time.monotonic()
        password = people.password_from(Path(settings.DEMO_PASSWORD_FILE))
        team = people.ensure(password)
        self.say("accounts", f"{len(people.PEOPLE)} people in the roles of the house")
        folder = Path(settings.DEMO_FOLDER)
        journey = Journey(web.rstrip("/"), gateway.rstrip("/"), password, team.pk, folder, self.say)
        try:
            journey.run(prepare)
        except DemoFailed as failure:
            raise CommandError(f"The demo stopped: {failure}") from failure
        except httpx.HTTPError as failure:
            raise CommandError(f"The demo stopped, the portal does not answer: {failure}") from failure
        finally:
            journey.close()
        self.say("done", f"in {time.monotonic() - start:.0f} s")
        self.logins(web, password)

    def say(self, step: str, what: str) -> None:
        self.stdout.write(f"  {step:<14} {what}")
        sys.stdout.flush()

    def logins(self, web: str, password: str) -> None:
        self.stdout.write(f"\nSign in at {web}/sign-in/ with the password {password} as")
        names = dict(Role.objects.values_list("slug", "name"))
        for key, (name, roles, in_team) in people.PEOPLE.items():
            what = ", ".join(names[role].lower() for role in roles)
            where = "" if not in_team else " of another team" if key == "outsider" else ""
            self.stdout.write(f"  {people.address(key):<26} {name}: {what}{where}")
