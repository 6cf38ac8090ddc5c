"""SQL by which the database itself sees to it that what is said of a version names the version's model."""

from __future__ import annotations

from django.db import migrations


def same_model(table: str) -> list[migrations.RunSQL]:
    """Fill in `model_id` from the version, and refuse any other from then on.

    Both are foreign keys together, to a version of that model: whoever writes cannot err, and nothing is asked for it.
    """
    name = f"{table}_of_model"
    return [
        migrations.RunSQL(
            f"UPDATE {table} t SET model_id = v.model_id FROM registry_version v WHERE v.id = t.version_id;"  # noqa: S608
            # The column is made required next, which nothing may wait for.
            "SET CONSTRAINTS ALL IMMEDIATE;",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (version_id, model_id) "
            "REFERENCES registry_version (id, model_id);",
            f"ALTER TABLE {table} DROP CONSTRAINT {name};",
        ),
    ]
