from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_unchecked_queue")]
    operations = [
        migrations.AddIndex(
            "event",
            models.Index("team_id", "id", name="event_refused_team", condition=models.Q(outcome="refused")),
        ),
    ]
