import django.db.models.deletion
from django.db import migrations, models

from registry.belonging import same_model


class Migration(migrations.Migration):
    dependencies = [("registry", "0011_training")]

    operations = [
        migrations.AddField(
            model_name="evidence",
            name="model",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.model",
            ),
        ),
        migrations.RunSQL(
            "ALTER TABLE registry_version ADD CONSTRAINT registry_version_id_model UNIQUE (id, model_id);",
            "ALTER TABLE registry_version DROP CONSTRAINT registry_version_id_model;",
        ),
        *same_model("registry_evidence"),
        migrations.AlterField(
            model_name="evidence",
            name="model",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.model",
            ),
        ),
        migrations.RemoveIndex(model_name="evidence", name="evidence_newest_test"),
        migrations.AddIndex(
            model_name="evidence",
            index=models.Index(
                models.F("model"),
                models.F("id"),
                condition=models.Q(("kind", "bias_report"), ("provenance", "computed"), ("withdrawn_at", None)),
                name="evidence_newest_test",
            ),
        ),
    ]
