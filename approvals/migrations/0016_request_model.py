import django.db.models.deletion
from django.db import migrations, models

from registry.belonging import same_model


class Migration(migrations.Migration):
    dependencies = [("approvals", "0015_request_closed"), ("registry", "0012_evidence_model")]

    operations = [
        migrations.AddField(
            model_name="reviewrequest",
            name="model",
            field=models.ForeignKey(
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.model",
            ),
        ),
        *same_model("approvals_reviewrequest"),
        migrations.AlterField(
            model_name="reviewrequest",
            name="model",
            field=models.ForeignKey(
                editable=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.model",
            ),
        ),
    ]
