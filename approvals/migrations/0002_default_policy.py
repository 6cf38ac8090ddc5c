"""Publishes “Validate, then approve”, version 1. Its text is a file that never changes: a new text is a new version."""

import json
from pathlib import Path

from django.db import migrations

from ledger.canonical import canonical, sha256

FOLDER = Path(__file__).resolve().parent.parent / "policies"


def publish(apps, schema_editor):
    document = json.loads((FOLDER / "validate_then_approve_1.json").read_text(encoding="utf-8"))
    database = schema_editor.connection.alias
    policy = (
        apps.get_model("approvals", "Policy")
        .objects.using(database)
        .create(slug=document["slug"], title=document["title"])
    )
    apps.get_model("approvals", "PolicyVersion").objects.using(database).create(
        policy=policy, number=document["version"], document=canonical(document), digest=sha256(canonical(document))
    )


class Migration(migrations.Migration):
    dependencies = [("approvals", "0001_initial")]
    operations = [migrations.RunPython(publish, migrations.RunPython.noop)]
