from django.db import migrations, models


class Migration(migrations.Migration):
    # The accept statement and the workers look into the suppressions.
    dependencies = [
        ("sending", "0003_fair_queue"),
        ("contacts", "0002_row_level_security"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(
                condition=models.Q(("finished_at", None), ("state", "suppressed")),
                fields=["id"],
                name="recipient_suppressed_untold",
            ),
        ),
    ]
