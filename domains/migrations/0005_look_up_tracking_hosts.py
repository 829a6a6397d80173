from django.db import migrations

from queensmtp import rls

# A name that sends is unique, so an index leads to it. What DNS showed stands under the slug of
# the record, which names the subdomain.
BODY = """
SELECT EXISTS (
    SELECT FROM domains_domain d
    WHERE d.can_send AND d.name = substring(host FROM strpos(host, '.') + 1)
      AND d.tracking_subdomain = split_part(host, '.', 1) AND d.tracking_subdomain <> ''
      AND d.findings -> ('tracking:' || d.tracking_subdomain) ->> 'status' = 'verified'
)
"""


class Migration(migrations.Migration):
    dependencies = [("domains", "0004_policies_of_checks_and_senders")]

    operations = [
        rls.open_to_lookup("domains_domain"),
        rls.definer_function("is_tracking_host", args="host text", returns="boolean", body=BODY),
    ]
