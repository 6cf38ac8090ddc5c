from django.db import migrations

from ledger.guards import append_only


class Migration(migrations.Migration):
    dependencies = [("approvals", "0008_standing_in")]
    operations = [append_only("approvals_recusal")]
