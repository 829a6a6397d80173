"""The SQL of the accept core: one statement stores all of a request, or nothing.

The tenant is set in the same round trip. The lateral OFFSET 0 is a fence: its scans begin only
after set_config ran, whatever order the planner would like.
"""

from auditlog import entries

_TENANT = "tenant AS MATERIALIZED (SELECT set_config('app.account_id', %s, true)::uuid AS id)"

# The key lives and the account is open, now and not only when the key was read.
_LIVE_KEY = """
    k.id = %s AND k.account_id = tenant.id AND k.revoked_at IS NULL
    AND (k.expires_at IS NULL OR k.expires_at > now())
    AND (k.overlap_ends_at IS NULL OR k.overlap_ends_at > now())
    AND a.id = tenant.id AND a.status = 'active'
"""

_LIVE = f"""
{_TENANT},
live AS MATERIALIZED (
    SELECT tenant.id AS account_id, domain.id AS domain_id
    FROM tenant CROSS JOIN LATERAL (
        SELECT d.id FROM apikeys_apikey k, domains_domain d, accounts_account a
        WHERE {_LIVE_KEY} AND d.account_id = tenant.id AND d.name = %s AND d.can_send
        OFFSET 0
    ) AS domain
)"""

# An expired answer is overwritten; one that still counts leaves `fresh` empty.
_FRESH = """
fresh AS (
    INSERT INTO sending_idempotentrequest AS stored
        (id, account_id, endpoint, key_digest, fingerprint, answer, expires_at)
    SELECT %s, live.account_id, %s, %s, %s, %s, %s FROM live
    ON CONFLICT (account_id, endpoint, key_digest) DO UPDATE
        SET fingerprint = excluded.fingerprint, answer = excluded.answer,
            expires_at = excluded.expires_at
        WHERE stored.expires_at <= now()
    RETURNING account_id
)"""

_MESSAGE_COLUMNS = """
    id, account_id, key_id, domain_id, environment, via, request_id, message_id, sender,
    sender_address, "to", cc, bcc, reply_to, subject, tags, content, size, scheduled_at,
    created_at
"""

_RECIPIENT_COLUMNS = """
    id, account_id, message_id, kind, address, domain, state, attempts, in_doubt_count,
    due_at, enhanced_code, reply, mx_host, tls_version, tls_cipher
"""


def _stopped(account_id: str, is_marketing: str) -> str:
    """A suppressed recipient is stored as such, and never claimed."""
    return f"""
    LEFT JOIN LATERAL (
        SELECT s.id FROM contacts_suppression s
        WHERE s.account_id = {account_id} AND s.email = one.mailbox
          AND s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
          AND (NOT s.marketing_only OR {is_marketing})
        LIMIT 1
    ) AS stopped ON true"""


# What `Mailbox` writes: a name with one of these stands in quotes.
_SPECIALS = r"""'[<>()\[\]:;@\\,"]'"""


def _identity(account_id: str, key: str) -> str:
    """The sender identity of a From without a name. Without a key it costs no scan."""
    return rf"""
    LEFT JOIN LATERAL (
        SELECT CASE WHEN s.name ~ {_SPECIALS}
                    THEN '"' || replace(replace(s.name, '\', '\\'), '"', '\"') || '" '
                    WHEN s.name <> '' THEN s.name || ' ' END AS name,
               CASE WHEN s.reply_to <> '' THEN ARRAY[s.reply_to]::text[] END AS reply_to
        FROM domains_senderidentity s WHERE s.account_id = {account_id} AND s.key = {key}
        LIMIT 1
    ) AS identity ON true"""


def _named(sender: str) -> str:
    return f"COALESCE(identity.name || '<' || {sender} || '>', {sender})"


_ROWS = f"""
message AS (
    INSERT INTO sending_message ({_MESSAGE_COLUMNS})
    SELECT %s, live.account_id, %s, live.domain_id, %s, %s, %s, %s, {_named("asked.sender")},
           %s, %s, %s, %s, COALESCE(%s::text[], identity.reply_to), %s, %s, %s, %s,
           %s::timestamptz, %s
    FROM live{{fresh}}
    CROSS JOIN (SELECT %s::text AS sender, %s::text AS sender_key) AS asked
    {_identity("live.account_id", "asked.sender_key")}
    RETURNING id, account_id
),
recipients AS (
    INSERT INTO sending_recipient ({_RECIPIENT_COLUMNS})
    SELECT one.id, message.account_id, message.id, one.kind, one.address, one.domain,
           CASE WHEN stopped.id IS NULL THEN %s ELSE 'suppressed' END, 0, 0, %s,
           '', '', '', '', ''
    FROM message
    CROSS JOIN unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS one (id, kind, address, domain, mailbox)
    {_stopped("message.account_id", "%s")}
),"""

_END = "SELECT (SELECT count(*) FROM live), (SELECT count(*) FROM message)"

ONCE = f"WITH {_LIVE}, {_ROWS.format(fresh='')} {entries.insert_ctes('message')} {_END}"
IDEMPOTENT = (
    f"WITH {_LIVE}, {_FRESH}, {_ROWS.format(fresh=', fresh')} "
    f"{entries.insert_ctes('message')} {_END}"
)

# --- Many messages at once -----------------------------------------------------------------------

_VERIFIED = f"""
{_TENANT},
verified AS MATERIALIZED (
    SELECT domain.id, domain.name FROM tenant CROSS JOIN LATERAL (
        SELECT d.id, d.name FROM domains_domain d
        WHERE d.account_id = tenant.id AND d.name = ANY(%s::text[]) AND d.can_send
        OFFSET 0
    ) AS domain
)"""
_LIVING = f"""
    SELECT tenant.id AS account_id FROM tenant CROSS JOIN LATERAL (
        SELECT k.id FROM apikeys_apikey k, accounts_account a WHERE {_LIVE_KEY} OFFSET 0
    ) AS living
"""
# Every domain that the batch sends from must be verified, or there is no row of `live`.
_LIVE_MANY = f"""
{_VERIFIED},
live AS MATERIALIZED ({_LIVING} WHERE (SELECT count(*) FROM verified) = %s)"""

# An array of arrays cannot be ragged, so the lists of addresses travel as array literals.
_ROWS_MANY = f"""
accepted AS (SELECT account_id FROM {{source}}),
message AS (
    INSERT INTO sending_message ({_MESSAGE_COLUMNS})
    SELECT one.id, accepted.account_id, %s, verified.id, %s, 'batch', %s, one.message_id,
           {_named("one.sender")}, one.sender_address, one."to"::text[], one.cc::text[],
           one.bcc::text[], COALESCE(one.reply_to::text[], identity.reply_to), one.subject,
           one.tags::jsonb, one.content, one.size, one.scheduled_at, %s
    FROM accepted, unnest(
        %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[], %b::bytea[], %s::int[],
        %s::timestamptz[], %s::text[]
    ) AS one (id, domain, message_id, sender, sender_address, "to", cc, bcc, reply_to, subject,
              tags, content, size, scheduled_at, sender_key)
    JOIN verified ON verified.name = one.domain
    {_identity("accepted.account_id", "one.sender_key")}
    RETURNING id
),
{{recipients}},"""


def _recipients_many(source: str, condition: str) -> str:
    return f"""
recipients AS (
    INSERT INTO sending_recipient ({_RECIPIENT_COLUMNS})
    SELECT one.id, {source}.account_id, one.message_id, one.kind, one.address, one.domain,
           CASE WHEN stopped.id IS NULL THEN one.state ELSE 'suppressed' END, 0, 0, one.due_at,
           '', '', '', '', ''
    FROM {source} JOIN unnest(
        %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::timestamptz[], %s::text[], %s::boolean[]
    ) AS one (id, message_id, kind, address, domain, state, due_at, mailbox, marketing)
    ON {condition}
    {_stopped(f"{source}.account_id", "one.marketing")}
)"""


_RECIPIENTS_OF_BATCH = _recipients_many("accepted", "true")
MANY = (
    f"WITH {_LIVE_MANY}, {_ROWS_MANY.format(source='live', recipients=_RECIPIENTS_OF_BATCH)} "
    f"{entries.insert_ctes('accepted')} {_END}"
)
MANY_IDEMPOTENT = (
    f"WITH {_LIVE_MANY}, {_FRESH}, "
    f"{_ROWS_MANY.format(source='fresh', recipients=_RECIPIENTS_OF_BATCH)} "
    f"{entries.insert_ctes('accepted')} {_END}"
)

# --- The messages of many requests of one key ----------------------------------------------------

_LIVE_GROUP = f"{_VERIFIED}, live AS MATERIALIZED ({_LIVING})"

# In the order of their digests, so that two groups never wait for each other in a ring.
_FRESH_GROUP = """
fresh AS (
    INSERT INTO sending_idempotentrequest AS stored
        (id, account_id, endpoint, key_digest, fingerprint, answer, expires_at)
    SELECT one.id, live.account_id, %s, one.key_digest, one.fingerprint, one.answer::jsonb,
           one.expires_at
    FROM live, unnest(
        %s::uuid[], %b::bytea[], %b::bytea[], %s::text[], %s::timestamptz[], %s::text[]
    ) AS one (id, key_digest, fingerprint, answer, expires_at, domain)
    JOIN verified ON verified.name = one.domain
    ORDER BY one.key_digest
    ON CONFLICT (account_id, endpoint, key_digest) DO UPDATE
        SET fingerprint = excluded.fingerprint, answer = excluded.answer,
            expires_at = excluded.expires_at
        WHERE stored.expires_at <= now()
    RETURNING account_id, (stored.answer->>'id')::uuid AS message_id
)"""

_ROWS_GROUP = f"""
message AS (
    INSERT INTO sending_message ({_MESSAGE_COLUMNS})
    SELECT one.id, live.account_id, %s, verified.id, %s, one.via, one.request_id, one.message_id,
           {_named("one.sender")}, one.sender_address, one."to"::text[], one.cc::text[],
           one.bcc::text[], COALESCE(one.reply_to::text[], identity.reply_to), one.subject,
           one.tags::jsonb, one.content, one.size, one.scheduled_at, one.created_at
    FROM live CROSS JOIN unnest(
        %s::text[], %s::text[], %s::timestamptz[],
        %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[], %b::bytea[], %s::int[],
        %s::timestamptz[], %s::text[]
    ) AS one (request_id, via, created_at,
              id, domain, message_id, sender, sender_address, "to", cc, bcc, reply_to, subject,
              tags, content, size, scheduled_at, sender_key)
    JOIN verified ON verified.name = one.domain
    {{fresh}}
    {_identity("live.account_id", "one.sender_key")}
    RETURNING id, account_id
),
{_recipients_many("message", "one.message_id = message.id")},
{entries.insert_many_ctes("message")}
SELECT ARRAY(SELECT id FROM message)"""

GROUP = f"WITH {_LIVE_GROUP}, {_ROWS_GROUP.format(fresh='')}"
GROUP_IDEMPOTENT = (
    f"WITH {_LIVE_GROUP}, {_FRESH_GROUP}, "
    f"{_ROWS_GROUP.format(fresh='JOIN fresh ON fresh.message_id = one.id')}"
)

# --- With quotas ---------------------------------------------------------------------------------

# The last thing, so that the counters are locked for no longer than it takes to commit. Raises when
# a quota has no room (`sending.quota_counters`); then nothing is stored.
_SPEND = """,
(SELECT spend_quota(account_id, %s::uuid[], %s::text[], %s::date[], %s::bigint[], %s)
 FROM {stored})"""

# What each statement is when quotas bind the request.
SPENDING = {
    ONCE: ONCE + _SPEND.format(stored="message"),
    IDEMPOTENT: IDEMPOTENT + _SPEND.format(stored="message"),
    MANY: MANY + _SPEND.format(stored="accepted"),
    MANY_IDEMPOTENT: MANY_IDEMPOTENT + _SPEND.format(stored="accepted"),
    GROUP: GROUP + _SPEND.format(stored="live"),
    GROUP_IDEMPOTENT: GROUP_IDEMPOTENT + _SPEND.format(stored="live"),
}

# --- What the statements did not store, and why ---------------------------------------------------

REPLAY = f"""
WITH {_TENANT}
SELECT stored.fingerprint, stored.answer FROM tenant CROSS JOIN LATERAL (
    SELECT i.fingerprint, i.answer FROM sending_idempotentrequest i
    WHERE i.account_id = tenant.id AND i.endpoint = %s AND i.key_digest = %s
      AND i.expires_at > now()
    OFFSET 0
) AS stored
"""

REPLAY_MANY = f"""
WITH {_TENANT}
SELECT stored.key_digest, stored.fingerprint, stored.answer FROM tenant CROSS JOIN LATERAL (
    SELECT i.key_digest, i.fingerprint, i.answer FROM sending_idempotentrequest i
    WHERE i.account_id = tenant.id AND i.endpoint = %s AND i.key_digest = ANY(%b::bytea[])
      AND i.expires_at > now()
    OFFSET 0
) AS stored
"""

VERIFIED_DOMAINS = f"""
WITH {_TENANT}
SELECT array_agg(domain.name) FROM tenant CROSS JOIN LATERAL (
    SELECT d.name::text FROM domains_domain d
    WHERE d.account_id = tenant.id AND d.name = ANY(%s::text[]) AND d.can_send
    OFFSET 0
) AS domain
"""
