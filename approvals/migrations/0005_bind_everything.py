"""Binds every model and use to “Validate, then approve”, and pins requests as of their submission."""

from django.db import migrations
from django.db.models import F


def bind(apps, schema_editor):
    database = schema_editor.connection.alias
    policy = apps.get_model("approvals", "Policy").objects.using(database).get(slug="validate-then-approve")
    apps.get_model("approvals", "PolicyBinding").objects.using(database).create(policy=policy)
    apps.get_model("approvals", "ReviewRequest").objects.using(database).update(policy_pinned_at=F("submitted_at"))


class Migration(migrations.Migration):
    dependencies = [("approvals", "0004_policies_bound")]
    operations = [migrations.RunPython(bind, migrations.RunPython.noop)]
