from django.db import migrations

from ledger.guards import append_only


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]
    operations = [append_only("ledger_event"), append_only("ledger_disclosure")]
