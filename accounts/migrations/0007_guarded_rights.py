"""Gives the roles their rights in recertification and credentials; what was confirmed and what changed stays."""

from django.db import migrations

from accounts.catalogue import ROLES
from ledger.guards import append_only

KEPT = ("recertification", "credentialchange", "credentialconfirmation")


def seed(apps, schema_editor):
    roles = apps.get_model("accounts", "Role").objects.using(schema_editor.connection.alias)
    for slug, (name, permissions) in ROLES.items():
        roles.update_or_create(slug=slug, defaults={"name": name, "permissions": sorted(permissions)})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0006_guarded_access")]
    operations = [
        migrations.RunPython(seed, migrations.RunPython.noop),
        *(append_only(f"accounts_{name}") for name in KEPT),
    ]
