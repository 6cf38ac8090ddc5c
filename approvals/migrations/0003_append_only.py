from django.db import migrations

from ledger.guards import append_only

KEPT = ("policyversion", "revision", "decision", "revocation", "comment", "evidenceview")


class Migration(migrations.Migration):
    dependencies = [("approvals", "0002_default_policy")]
    operations = [append_only(f"approvals_{name}") for name in KEPT]
