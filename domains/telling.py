"""Who hears of what happens to a domain: webhooks of its account, and its people by e-mail."""

from django.conf import settings
from django.utils import timezone

from accounts import notices
from accounts.roles import Right
from domains import payloads
from domains.models import Domain
from queensmtp.ids import new_id
from webhooks import actions as webhooks
from webhooks.payloads import WebhookEvent


def webhook(domain: Domain, verb: str) -> None:
    event = WebhookEvent(new_id(), f"domain.{verb}", timezone.now(), payloads.told(domain))
    webhooks.enqueue(account_id=domain.account_id, events=[event])


def people(domain: Domain, *, kind: str, subject: str, text: str) -> None:
    """Those who may mend it."""
    page = f"{settings.CONSOLE_URL}/console/domains/{domain.pk}"
    notices.tell(
        account_id=domain.account_id,
        to=Right.DOMAINS_WRITE,
        kind=kind,
        subject=subject,
        text=f"{text}\n\nThe records, what was expected and what was found: {page}\n",
    )
