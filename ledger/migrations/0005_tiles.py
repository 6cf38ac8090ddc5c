from django.db import migrations, models

from ledger.guards import append_only


class Migration(migrations.Migration):
    dependencies = [("ledger", "0004_append_only_tree")]
    operations = [
        migrations.CreateModel(
            name="Tile",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level", "index", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("level", models.PositiveSmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField()),
            ],
        ),
        append_only("ledger_tile"),
    ]
