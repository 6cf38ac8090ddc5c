"""Migrations of an empty database at a third of Django's price. One that has tables is migrated by Django alone."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

# Of rendered models these read the one they change, and tables and keys of those it points to, which they leave alone.
ADDING = (
    migrations.CreateModel, migrations.AddField, migrations.AddIndex, migrations.AddConstraint,
    migrations.RemoveIndex, migrations.RemoveConstraint, migrations.RunSQL, migrations.RunPython,
)  # fmt: skip


def adds(operation: Operation) -> bool:
    if type(operation) is migrations.AlterField:
        return not operation.field.unique  # what others point to is unique
    if type(operation) is migrations.SeparateDatabaseAndState:
        by_sql = all(type(one) is migrations.RunSQL for one in operation.database_operations)
        return by_sql and all(map(adds, operation.state_operations))
    return type(operation) in ADDING


class Growing(ProjectState):
    """While `adding`, renders a changed model alone. Django renders all that lead to it, again with each operation."""

    adding = stale = False

    def reload_model(self, app_label: str, model_name: str, delay: bool = False) -> None:
        if not self.adding:
            super().reload_model(app_label, model_name, delay)
        elif "apps" in self.__dict__:
            # A delayed state is rendered whole for RunPython, which may look at any model.
            self.stale = self.is_delayed = True
            self._reload({(app_label, model_name)})  # type: ignore[attr-defined]


class FirstTables(MigrationExecutor):
    def _create_project_state(self, with_applied_migrations: bool = False) -> ProjectState:
        return Growing(real_apps=self.loader.unmigrated_apps)

    def apply_migration(self, state: Any, migration: Any, fake: bool = False, fake_initial: bool = False) -> Any:
        state.adding = all(map(adds, migration.operations))
        if state.stale and not state.adding:
            del state.apps
            state.stale = False
            state.apps  # noqa: B018  rendered anew before it is copied
        return super().apply_migration(state, migration, fake=fake, fake_initial=fake_initial)


def make_first_tables(connection: BaseDatabaseWrapper) -> None:
    executor = FirstTables(connection)
    if not executor.loader.applied_migrations:
        executor.migrate(executor.loader.graph.leaf_nodes())
