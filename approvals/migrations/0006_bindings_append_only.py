from django.db import migrations

from ledger.guards import append_only


class Migration(migrations.Migration):
    dependencies = [("approvals", "0005_bind_everything")]
    operations = [append_only("approvals_policybinding")]
