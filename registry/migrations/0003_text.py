import django.db.models.functions.datetime
from django.db import migrations, models

from ledger.canonical import sha256
from ledger.guards import append_only


def keep_what_is_there(apps, schema_editor):
    database = schema_editor.connection.alias
    texts = apps.get_model("registry", "Text").objects.using(database)
    for name, fields in (("Model", ("purpose",)), ("Version", ("card", "notes"))):
        rows = apps.get_model("registry", name).objects.using(database).values_list(*fields)
        for row in rows.iterator():
            kept = [texts.model(digest=sha256(text.encode()), text=text) for text in dict.fromkeys(row) if text]
            texts.bulk_create(kept, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [("registry", "0002_tighten")]

    operations = [
        migrations.CreateModel(
            name="Text",
            fields=[
                ("digest", models.CharField(max_length=71, primary_key=True, serialize=False)),
                ("text", models.TextField()),
                ("kept_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.RunPython(keep_what_is_there, migrations.RunPython.noop),
        append_only("registry_text"),
    ]
