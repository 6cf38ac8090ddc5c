import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from ledger.guards import append_only


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_erasure_rights"),
        ("audits", "0001_initial"),
        ("ledger", "0004_append_only_tree"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("person", "A person"), ("entry", "One entry")], max_length=10)),
                ("subject", models.CharField(help_text="Opaque id of the person, or id of the entry", max_length=36)),
                (
                    "labels",
                    django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), size=None),
                ),
                (
                    "ground",
                    models.CharField(
                        choices=[
                            (
                                "no_longer_necessary",
                                "No longer necessary for what it was collected for (Article 17(1)(a))",
                            ),
                            ("consent_withdrawn", "Consent was withdrawn (Article 17(1)(b))"),
                            ("objection", "The person objects, and nothing overrides that (Article 17(1)(c))"),
                            ("unlawful", "It was processed unlawfully (Article 17(1)(d))"),
                            ("legal_duty", "A law asks for the erasure (Article 17(1)(e))"),
                            ("mistake", "It was written by mistake: it should never have been in the log"),
                        ],
                        max_length=30,
                    ),
                ),
                ("count", models.PositiveIntegerField(help_text="Disclosures to erase")),
                ("entries", models.PositiveIntegerField(help_text="Entries that they belong to")),
                ("digest", models.CharField(help_text="Of the list of what is to be erased", max_length=71)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("requested", "Waits for approval"),
                            ("approved", "Approved, not yet carried out"),
                            ("rejected", "Rejected"),
                            ("carried_out", "Carried out"),
                        ],
                        default="requested",
                        max_length=20,
                    ),
                ),
                ("requested_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("decided_at", models.DateTimeField(null=True)),
                ("carried_out_at", models.DateTimeField(null=True)),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="erasures_decided",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="erasures_requested",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.CreateModel(
            name="ErasureItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event", models.UUIDField()),
                ("label", models.CharField(max_length=40)),
                (
                    "erasure",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="items", to="audits.erasure"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Hold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("person", "A person"),
                            ("team", "A team"),
                            ("model", "A model"),
                            ("period", "A period"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "subject",
                    models.CharField(
                        blank=True, help_text="Opaque id of the person, or id of the model", max_length=64
                    ),
                ),
                ("since", models.DateTimeField(help_text="Of a period: from when, included", null=True)),
                (
                    "until",
                    models.DateTimeField(help_text="Of a period: to when, not included; null is open", null=True),
                ),
                ("ends_at", models.DateTimeField(help_text="When the hold ends by itself", null=True)),
                ("placed_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("lifted_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="holds",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "lifted_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="holds_lifted",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "of_team",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="holds", to="accounts.team"
                    ),
                ),
                (
                    "placed_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="holds_placed",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddIndex(
            model_name="erasure",
            index=models.Index(fields=["state", "id"], name="erasure_state"),
        ),
        migrations.AddConstraint(
            model_name="erasure",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("decided_by", None),
                    models.Q(("decided_by", models.F("requested_by")), _negated=True),
                    _connector="OR",
                ),
                name="erasure_takes_two",
            ),
        ),
        migrations.AddConstraint(
            model_name="erasure",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decided_by", None), ("state", "requested")),
                    models.Q(models.Q(("state", "requested"), _negated=True), ("decided_by__isnull", False)),
                    _connector="OR",
                ),
                name="erasure_decided_by_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="erasureitem",
            constraint=models.UniqueConstraint(
                models.F("erasure"), models.F("event"), models.F("label"), name="erasure_item_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("account__isnull", False), ("kind", "person")),
                    models.Q(("kind", "team"), ("of_team__isnull", False)),
                    models.Q(("kind", "model"), models.Q(("subject", ""), _negated=True)),
                    models.Q(("kind", "period"), ("since__isnull", False)),
                    _connector="OR",
                ),
                name="hold_covers_something",
            ),
        ),
        append_only("audits_erasureitem"),
    ]
