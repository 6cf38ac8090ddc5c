"""SQL by which the database itself keeps a table append-only, whoever asks."""

from __future__ import annotations

from django.db import migrations

DENY = """
CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'append-only: % on % is not possible', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""


def append_only(table: str) -> migrations.RunSQL:
    """A statement-level trigger, ENABLE ALWAYS, that denies UPDATE, DELETE and TRUNCATE even to the table's owner.

    `provision_roles` finds the trigger by its name and grants the portal no more than SELECT and INSERT there.
    """
    return migrations.RunSQL(
        f"{DENY}"
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION append_only();"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only;",
        f"DROP TRIGGER append_only ON {table};",
    )


ERASABLE = """
CREATE OR REPLACE FUNCTION erasable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_user = '{eraser}' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'append-only: % on % is not possible', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""


def erasable(table: str, eraser: str) -> migrations.RunSQL:
    """Replace the trigger of `append_only` by one that lets the role `eraser`, and nobody else, delete rows."""
    return migrations.RunSQL(
        f"{ERASABLE.format(eraser=eraser)}"
        f"DROP TRIGGER append_only ON {table};"
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION erasable();"
        f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER append_only;",
        migrations.RunSQL.noop,
    )
