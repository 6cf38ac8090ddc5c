from django.conf import settings
from django.db import migrations

from ledger.guards import append_only, erasable

TABLES = ("ledger_leaf", "ledger_treehead", "ledger_checkpoint", "ledger_key", "ledger_record", "ledger_anchor")


class Migration(migrations.Migration):
    dependencies = [("ledger", "0003_transparency")]
    operations = [
        *map(append_only, TABLES),
        erasable("ledger_disclosure", f"{settings.DB_ROLE_PREFIX}_eraser"),
    ]
