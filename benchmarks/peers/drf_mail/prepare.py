"""Makes the tables, one verified domain and one key, and prints the key."""

import os

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.peers.drf_mail.settings"

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from rest_framework_api_key.models import APIKey  # noqa: E402

from benchmarks.peers.drf_mail.models import Domain  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0)
Domain.objects.get_or_create(name="hive.example", is_verified=True)
print(APIKey.objects.create_key(name="benchmark")[1])
