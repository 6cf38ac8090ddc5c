"""Lets model owners and the second line set what is logged of predictions, and who reads rows open what was kept."""

from django.db import migrations

from accounts.catalogue import ROLES


def seed(apps, schema_editor):
    roles = apps.get_model("accounts", "Role").objects.using(schema_editor.connection.alias)
    for slug, (name, permissions) in ROLES.items():
        roles.update_or_create(slug=slug, defaults={"name": name, "permissions": sorted(permissions)})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_rollback_right")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
