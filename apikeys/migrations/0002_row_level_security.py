from django.db import migrations

from queensmtp import rls

LOOK_UP = """
SELECT k.id, k.account_id, k.public_id::text, k.digest, k.pepper_version, k.mac,
       k.environment::text, k.scopes::text[], k.domains::text[], k.allowed_cidrs::text[],
       k.allowed_recipients::text[], k.rate_requests, k.rate_per_seconds,
       k.expires_at, k.overlap_ends_at, k.revoked_at,
       k.name::text, k.labels, a.status = 'active'
FROM apikeys_apikey k JOIN accounts_account a ON a.id = k.account_id
WHERE k.public_id = wanted
"""

COLUMNS = """TABLE (
    id uuid, account_id uuid, public_id text, digest bytea, pepper_version smallint, mac bytea,
    environment text, scopes text[], domains text[], allowed_cidrs text[],
    allowed_recipients text[], rate_requests integer, rate_per_seconds integer,
    expires_at timestamptz, overlap_ends_at timestamptz, revoked_at timestamptz,
    name text, labels jsonb, account_is_active boolean
)"""


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0001_api_keys"), ("accounts", "0003_row_level_security")]

    operations = [
        rls.composite_key("apikeys_apikey"),
        rls.tenant_foreign_key("apikeys_apikey", "replaces_id", "apikeys_apikey"),
        rls.tenant_foreign_key("apikeys_apikey", "replaced_by_id", "apikeys_apikey"),
        rls.enable("apikeys_apikey"),
        # No DELETE: a revoked key's row stays. Workers have no right to keys at all.
        rls.grant("app", "apikeys_apikey", "SELECT, INSERT, UPDATE"),
        rls.open_to_lookup("apikeys_apikey"),
        # A key is found by its public id before its tenant is known.
        rls.definer_function(
            "api_key_by_public_id", args="wanted text", returns=COLUMNS, body=LOOK_UP
        ),
    ]
