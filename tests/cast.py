"""The cast of every test: eleven accounts in two teams, made through the services, into the template database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

PASSWORD = "correct horse battery"
PEOPLE = {
    "developer": ("Dev Anand", "developer", "credit"),
    "second_developer": ("Siri Dahl", "developer", "credit"),
    "model_owner": ("Olga Novak", "model_owner", "credit"),
    "validator": ("Vera Lind", "validator", "credit"),
    "approver": ("Arno Weiss", "approver", "credit"),
    "second_approver": ("Ada Moreau", "approver", "credit"),
    "risk_officer": ("Rosa Klein", "risk_officer", None),
    "auditor": ("Aziz Haddad", "auditor", None),
    "outsider": ("Otto Fremd", "developer", "claims"),
    "policy_admin": ("Pia Berg", "policy_administrator", None),
    "platform_admin": ("Petra Sand", "platform_administrator", None),
}


@dataclass
class Cast:
    """Loads each account afresh when first asked for. Mail addresses are `<role with dashes>@example.org`."""

    password: str = PASSWORD

    def __getattr__(self, name: str):
        if name != "ci_bot" and name not in PEOPLE:
            raise AttributeError(name)
        self.__dict__[name] = found = by_address()(address(name))[0]
        return found

    @cached_property
    def team(self):
        from accounts.models import Team

        return Team.objects.get(slug="credit")

    @cached_property
    def other_team(self):
        from accounts.models import Team

        return Team.objects.get(slug="claims")

    def everybody(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in (*PEOPLE, "ci_bot")}


@cache
def by_address():
    from accounts.models import User
    from ledger.prepared import Prepared

    return Prepared(lambda email: User.objects.filter(email=email), str)


def address(name: str) -> str:
    return f"{name.replace('_', '-')}@example.org"


def build() -> None:
    from accounts.models import Role, User
    from accounts.services import add_account, add_team, grant_role
    from ledger.actors import SystemActor

    console = SystemActor("console", frozenset({"accounts.add_team", "accounts.add_account", "accounts.grant_role"}))
    teams = {slug: add_team(by=console, name=slug.capitalize(), slug=slug) for slug in ("credit", "claims")}
    for name, (full_name, role, team) in PEOPLE.items():
        account = add_account(by=console, name=full_name, email=address(name), password=PASSWORD)
        where = teams[team] if team else None
        grant_role(by=console, account=account, role=Role.objects.get(slug=role), team=where, reason="the cast")
    bot = add_account(by=console, name="CI bot", email=address("ci_bot"), kind=User.Kind.SERVICE, team=teams["credit"])
    robot = Role.objects.get(slug="service_account")
    grant_role(by=console, account=bot, role=robot, team=teams["credit"], reason="the cast")


def main() -> None:
    """Make the template database: roles, tables, cast, and a log that seals how they came about."""
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from tests.sealing import seal_template

    call_command("prepare_database")
    build()
    seal_template(connection.settings_dict["NAME"])


if __name__ == "__main__":
    main()
