"""Lets approvers and risk officers decide about keys that others ask for, and who governs endpoints say which do."""

from django.db import migrations

from accounts.catalogue import ROLES


def seed(apps, schema_editor):
    roles = apps.get_model("accounts", "Role").objects.using(schema_editor.connection.alias)
    for slug, (name, permissions) in ROLES.items():
        roles.update_or_create(slug=slug, defaults={"name": name, "permissions": sorted(permissions)})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0014_prediction_log_rights")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
