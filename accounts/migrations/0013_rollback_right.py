"""Lets those who build a model, and risk officers, take an endpoint back to the version that it served before."""

from django.db import migrations

from accounts.catalogue import ROLES


def seed(apps, schema_editor):
    roles = apps.get_model("accounts", "Role").objects.using(schema_editor.connection.alias)
    for slug, (name, permissions) in ROLES.items():
        roles.update_or_create(slug=slug, defaults={"name": name, "permissions": sorted(permissions)})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_dataset_rights")]
    operations = [migrations.RunPython(seed, migrations.RunPython.noop)]
