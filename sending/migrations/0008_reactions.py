from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sending", "0007_console_sends_again")]

    operations = [
        # With a default of the database's own: the accept statement names its columns.
        migrations.AddField(
            model_name="recipient",
            name="reaction",
            field=models.CharField(
                blank=True,
                choices=[
                    ("opened", "opened"),
                    ("clicked", "clicked"),
                    ("complained", "complained"),
                ],
                db_default="",
                default="",
                max_length=10,
            ),
        ),
    ]
