from django.conf import settings
from django.db import migrations, models

from ledger.guards import append_only


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0012_report_drafts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="comment", name="about", field=models.CharField(blank=True, default="", max_length=80),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="comment", name="mentioned",
            field=models.ManyToManyField(related_name="+", to=settings.AUTH_USER_MODEL),
        ),
        append_only("approvals_comment_mentioned"),
    ]  # fmt: skip
