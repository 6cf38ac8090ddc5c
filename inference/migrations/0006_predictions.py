"""The prediction log: a table with a partition a day, ground truth beside it, and what is logged of each endpoint."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

from inference.predictions import partitions
from ledger.guards import append_only

PROTECT = django.db.models.deletion.PROTECT
NOW = django.db.models.functions.datetime.Now
LEVELS = [
    ("none", "Nothing of inputs and outputs"),
    ("hashes", "Digests of the bodies alone"),
    ("sampled", "Inputs and outputs of a share of the predictions, digests of all"),
    ("full", "Inputs and outputs of all predictions"),
]
MODES = [
    ("fast", "Answers do not wait: at most a second's rows are lost if the gateway is killed"),
    ("strict", "An answer leaves only when its row is written"),
]
LOSSES = [
    ("full", "The gateway's buffer was full"),
    ("unwritable", "The database would not take them"),
    ("ended", "The gateway ended before they were written"),
]
ACTIONS = [
    ("metadata", "Read what the model takes and returns"),
    ("infer", "Ask for predictions"),
    ("feedback", "Say what turned out to be true"),
]
PREDICTION = migrations.CreateModel(
    name="Prediction",
    fields=[
        ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
        ("at", models.DateTimeField()),
        (
            "endpoint",
            models.ForeignKey(
                db_constraint=False, db_index=False, on_delete=PROTECT, related_name="predictions",
                to="inference.endpoint",
            ),
        ),
        (
            "key",
            models.ForeignKey(
                db_constraint=False, db_index=False, on_delete=PROTECT, related_name="predictions",
                to="inference.inferencekey",
            ),
        ),
        ("request_id", models.CharField(max_length=64)),
        ("client_id", models.TextField()),
        ("artifact", models.CharField(max_length=71)),
        ("revision", models.CharField(max_length=71)),
        ("status", models.SmallIntegerField()),
        ("code", models.CharField(help_text="Why it was refused; empty where it was answered", max_length=40)),
        (
            "role",
            models.CharField(
                help_text="canary or shadow; empty where the version was the one served", max_length=10
            ),
        ),
        ("rows", models.IntegerField()),
        ("latency", models.IntegerField(help_text="Microseconds from the request's headers to its answer")),
        ("level", models.CharField(max_length=10)),
        ("input_digest", models.CharField(max_length=71)),
        ("output_digest", models.CharField(max_length=71)),
        ("inputs", models.TextField(null=True)),
        ("outputs", models.TextField(null=True)),
    ],
    options={
        "ordering": ["-id"],
        "indexes": [
            models.Index(models.F("endpoint"), models.F("id"), name="prediction_of_endpoint"),
            models.Index(models.F("request_id"), name="prediction_request"),
        ],
        "constraints": [
            models.CheckConstraint(
                condition=models.Q(("level__in", ["sampled", "full"]))
                | models.Q(("inputs", None), ("outputs", None)),
                name="prediction_content_by_level",
            )
        ],
    },
)  # fmt: skip


class Migration(migrations.Migration):
    dependencies = [("inference", "0005_rollouts")]

    operations = [
        migrations.AddField("endpoint", "log_level", models.CharField(choices=LEVELS, default="hashes", max_length=10)),
        migrations.AddField("endpoint", "log_mode", models.CharField(choices=MODES, default="fast", max_length=10)),
        migrations.AddField(
            "endpoint",
            "log_sample",
            models.PositiveIntegerField(default=1, help_text="Percent, at the level sampled"),
        ),
        migrations.AddField(
            "endpoint",
            "log_days",
            models.PositiveIntegerField(default=400, help_text="How long rows of the prediction log are kept"),
        ),
        migrations.AddConstraint(
            "endpoint",
            models.CheckConstraint(
                condition=models.Q(("log_sample__gte", 1), ("log_sample__lte", 99)), name="endpoint_log_sample"
            ),
        ),
        migrations.AddConstraint(
            "endpoint",
            models.CheckConstraint(
                condition=models.Q(("log_days__gte", 1), ("log_days__lte", 36500)), name="endpoint_log_days"
            ),
        ),
        migrations.AlterField(
            "keyscope",
            "actions",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=ACTIONS, max_length=10), size=None
            ),
        ),
        migrations.CreateModel(
            name="PredictionDeletion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("before", models.DateTimeField()),
                ("days", models.PositiveIntegerField(help_text="The endpoint's retention at that time")),
                ("rows", models.PositiveBigIntegerField(help_text="How many there were")),
                ("deleted_at", models.DateTimeField(db_default=NOW())),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=PROTECT, related_name="prediction_deletions", to="inference.endpoint"
                    ),
                ),
            ],
            options={"ordering": ["-id"]},
        ),
        migrations.CreateModel(
            name="Feedback",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("values", models.JSONField(help_text="A number, text, boolean or null (not known) for each row")),
                ("at", models.DateTimeField(db_default=NOW())),
                (
                    "endpoint",
                    models.ForeignKey(on_delete=PROTECT, related_name="feedback", to="inference.endpoint"),
                ),
                (
                    "key",
                    models.ForeignKey(on_delete=PROTECT, related_name="feedback", to="inference.inferencekey"),
                ),
            ],
            options={"verbose_name_plural": "feedback"},
        ),
        append_only("inference_predictiondeletion"),
        migrations.CreateModel(
            name="PredictionLoss",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("process", models.UUIDField(help_text="The gateway's, new with each start")),
                ("why", models.CharField(choices=LOSSES, max_length=10)),
                ("rows", models.PositiveIntegerField()),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("at", models.DateTimeField(db_default=NOW())),
                (
                    "endpoint",
                    models.ForeignKey(on_delete=PROTECT, related_name="prediction_losses", to="inference.endpoint"),
                ),
            ],
            options={"ordering": ["-id"], "verbose_name_plural": "prediction losses"},
        ),
        append_only("inference_predictionloss"),
        migrations.SeparateDatabaseAndState(
            state_operations=[PREDICTION],
            database_operations=[
                migrations.RunSQL(
                    partitions.TABLE + partitions.FLOOR + partitions.KEPT
                    + partitions.keep("inference_prediction") + partitions.keep("inference_feedback")
                    + partitions.MAKE + partitions.CARRY_OUT + "SELECT prediction_partitions(7);",
                    "DROP FUNCTION prediction_deletions(); DROP FUNCTION prediction_partitions(integer);"
                    "DROP TABLE inference_prediction; DROP FUNCTION prediction_kept() CASCADE;"
                    "DROP FUNCTION prediction_floor(timestamptz);",
                )
            ],
        ),
    ]  # fmt: skip
