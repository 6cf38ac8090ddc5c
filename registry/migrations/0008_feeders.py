import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from ledger.guards import append_only


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0007_saved_filters"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Feeder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("external", models.CharField(blank=True, max_length=200)),
                ("takes", models.CharField(max_length=500)),
                ("reason", models.CharField(max_length=500)),
                ("recorded_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="feeders", to="registry.model"
                    ),
                ),
                (
                    "recorded_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="fed", to="registry.model"
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("external", ""), ("source__isnull", False)),
                            models.Q(("source", None), models.Q(("external", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="one_source",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("source", models.F("model")), _negated=True), name="feeds_another"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FeederRemoval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("reason", models.CharField(max_length=500)),
                ("removed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "feeder",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="removal", to="registry.feeder"
                    ),
                ),
                (
                    "removed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
        ),
        append_only("registry_feeder"),
        append_only("registry_feederremoval"),
    ]
