from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("approvals", "0013_mentions")]
    operations = [migrations.AddField("revision", "material_change", models.JSONField(null=True))]
