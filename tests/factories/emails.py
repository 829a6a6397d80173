from typing import Any
from uuid import UUID

from accounts.models import Account
from apikeys.actions import record_of
from apikeys.gate import actor_of
from apikeys.models import ApiKey
from queensmtp.tenancy import tenant
from sending import accept, submissions
from tests.factories.cast import ORIGIN
from tests.factories.keys import make_key


def make_email(
    account: Account,
    *,
    key: ApiKey | None = None,
    sender: str = "Hive <hello@hive.example>",
    **body: Any,
) -> UUID:
    """An accepted e-mail of an account, from `hello@hive.example` unless told otherwise."""
    record = record_of(key or make_key(account)[0])
    asked = {
        "from": sender,
        "to": "ann@wasp.example",
        "subject": "Hello",
        "text": "Hi",
        **body,
    }
    submission = submissions.read(asked, recipients_maximum=50)
    actor = actor_of(record, origin=ORIGIN)
    with tenant(account.pk):
        return accept.accept_email(submission, key=record, actor=actor, via="api").email_id
