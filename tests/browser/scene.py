"""An account in the midst of its work, so that every page has something to show."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts import actions as people
from accounts.invitations import token_of
from accounts.models import Account
from accounts.roles import Role
from apikeys import actions as keys
from auditlog import actions as audit
from auditlog.models import Entry
from contacts import actions as suppressions
from contacts.actions import Wanted
from contacts.models import Origin, Suppression
from domains import checking, rotation, senders
from domains.judging import Judgement, Outcome
from domains.models import Domain, SenderIdentity
from queensmtp.actors import Origin as Source
from queensmtp.addresses import parse_address
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from sending import visits
from sending.links import Linker, Place
from sending.models import DeliveryEvent, Message, Recipient
from sending.visits import Visit
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import enqueue, make_endpoint, make_event
from tests.roles import as_role
from webhooks.models import Attempt, Delivery, Endpoint

HTML = """<h1 style="color: #7a4700">Your order is on its way</h1>
<p onclick="alert(1)">Hello <b>Dana</b>, <a href="https://shop.example/">track it</a>.</p>
<img src="https://tracker.example/pixel.gif"><script>alert(1)</script>"""
# Whatever strangers write is shown as text: a script that ran, or a picture that was asked for,
# would be an error in the browser's console.
HOSTILE = """\"'><script>alert(1)</script><img src=https://evil.example/x onerror=alert(1)>"""
SIGNED = [{"d": "demo.example", "s": "qs1", "a": "rsa-sha256"}]
DELIVERED = {
    "mx_host": "mx1.customer.example",
    "tls_version": "TLSv1.3",
    "tls_cipher": "TLS_AES_256_GCM_SHA384",
    "code": 250,
    "enhanced_code": "2.0.0",
    "reply": "250 2.0.0 Ok: queued as 4bXq2J1Z",
}
BOUNCED = {
    **DELIVERED,
    "code": 550,
    "enhanced_code": "5.1.1",
    "reply": f"550 5.1.1 <erin@customer.example>: user unknown {HOSTILE}",
    "mx_host": HOSTILE,
}


@dataclass(frozen=True)
class Scene:
    key_id: UUID
    rotated_id: UUID
    revoked_id: UUID
    delivered_id: UUID
    bounced_id: UUID
    waiting_id: UUID
    entry_id: UUID
    request_id: UUID
    unsealed_entry_id: UUID
    domain_id: UUID
    waiting_domain_id: UUID
    sender_id: UUID
    suppression_id: UUID
    taken_back_id: UUID
    webhook_id: UUID
    event_id: UUID
    unsubscribe_path: str
    invitation_path: str
    membership_id: UUID


def play(cast: Cast) -> Scene:
    domain = make_domain(cast.hive, "demo.example")
    waiting_domain, sender = _domains(cast)
    key, token = make_key(
        cast.hive,
        scopes=("email:send", "email:read"),
        domains=("demo.example",),
        allowed_cidrs=("127.0.0.0/8", "2001:db8:17::/48"),
        expires_at=timezone.now() + timedelta(days=90),
        rate_requests=20,
        rate_per_seconds=1,
        daily_quota=3,
    )
    rotated, revoked = (make_key(cast.hive)[0] for _ in range(2))
    with tenant(cast.hive.pk):
        keys.update(by=cast.alice.actor, key=key, changes={"name": "Shop, checkout mails"})
        keys.rotate(by=cast.alice.actor, key=rotated, overlap_seconds=86_400)
        keys.revoke(
            by=cast.alice.actor, key=revoked, reason=f"Left in a public repository {HOSTILE}"[:200]
        )
    sent = [
        _send(token, to="dana@customer.example", subject="Your order is on its way", html=HTML),
        _send(token, to="erin@customer.example", subject=f"Please confirm {HOSTILE}", text=HOSTILE),
        _send(
            token, to="frank@customer.example", subject="Réinitialiser le mot de passe", text="x"
        ),
    ]
    _send(token, to="x@customer.example", subject="No", text="No", sender="a@evil.example")
    _finish(cast.hive, sent[0], "delivered", DELIVERED)
    _finish(cast.hive, sent[1], "bounced", BOUNCED)
    suppressed, taken_back = _suppress(cast, source_id=sent[1])
    with as_role("worker"):
        audit.seal_all(now=timezone.now())
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="api_key.updated")
        asked = Entry.objects.filter(event="email.submitted", outcome="allowed").first()
    assert asked is not None
    endpoint, event_id = _tell(cast)
    with tenant(cast.hive.pk):
        unsealed = Entry.objects.latest("id")
    return Scene(
        key_id=key.pk,
        rotated_id=rotated.pk,
        revoked_id=revoked.pk,
        delivered_id=sent[0],
        bounced_id=sent[1],
        waiting_id=sent[2],
        entry_id=entry.pk,
        request_id=asked.pk,
        unsealed_entry_id=unsealed.pk,
        domain_id=domain.pk,
        waiting_domain_id=waiting_domain.pk,
        sender_id=sender.pk,
        suppression_id=suppressed.pk,
        taken_back_id=taken_back.pk,
        webhook_id=endpoint.pk,
        event_id=event_id,
        unsubscribe_path=_visit(cast.hive, sent[0]).unsubscribe(),
        invitation_path=_invitation(cast),
        membership_id=cast.bob.membership.pk,
    )


def _tell(cast: Cast) -> tuple[Endpoint, UUID]:
    """A webhook endpoint that took one event at the second attempt and lost another."""
    endpoint = make_endpoint(cast.hive, "https://hooks.shop.example/queensmtp?tenant=hive")
    make_endpoint(cast.hive, "https://user:password@old.shop.example/", events=["email.bounced"])
    events = [make_event(to=["dana@customer.example"], subject=HOSTILE) for _ in range(3)]
    enqueue(cast.hive, *events)
    now = timezone.now()
    with tenant(cast.hive.pk), as_role("worker"):
        outcomes = (("delivered", 204, 41), ("failed", 503, 2_310), ("failed", None, None))
        for event, (state, status, latency) in zip(events, outcomes, strict=True):
            rows = Delivery.objects.filter(event_id=event.id)
            rows.update(
                state=state,
                attempt_count=2,
                finished_at=now,
                last_status=status,
                last_reason="" if status else "unreachable",
                last_latency_milliseconds=latency,
            )
        first = Delivery.objects.get(event_id=events[0].id)
        for number, status in ((1, 503), (2, 204)):
            Attempt.objects.create(
                account_id=cast.hive.pk,
                delivery_id=first.pk,
                number=number,
                sent_at=now,
                status=status,
                latency_milliseconds=41,
                response=HOSTILE if status == 503 else "",
            )
    return endpoint, events[0].id


def _suppress(cast: Cast, *, source_id: UUID) -> tuple[Suppression, Suppression]:
    """One that stands, one of before that was taken back, and some more for the list."""
    wanted = Wanted(
        "erin@customer.example", Origin.BOUNCE, str(BOUNCED["reply"]), source_id=source_id
    )
    others = [
        Wanted("spam-button@customer.example", Origin.COMPLAINT, "Feedback report: abuse"),
        Wanted("reader@customer.example", Origin.UNSUBSCRIBE),
        Wanted("former@customer.example", Origin.MANUAL, HOSTILE),
    ]
    with tenant(cast.hive.pk):
        by = cast.alice.actor
        (taken_back,) = suppressions.suppress(by=by, wanted=[wanted])
        suppressions.remove(by=by, suppressions=[taken_back], note=f"She called {HOSTILE}")
        return suppressions.suppress(by=by, wanted=[wanted, *others])[0], taken_back


def _domains(cast: Cast) -> tuple[Domain, SenderIdentity]:
    """One whose records are wrong in several ways, in the midst of a rotation; and an identity."""
    waiting = make_domain(cast.hive, "bücher.example".encode("idna").decode(), verified=False)
    with tenant(cast.hive.pk):
        rotation.prepare(by=cast.alice.actor, domain=waiting)
        asked = {one.slug: one for one in [*waiting.to_publish(), *waiting.advised()]}
    judged = {
        slug: Judgement(Outcome.MISSING, (HOSTILE,), "There is a TXT record, but another.")
        for slug in asked
    }
    judged["dmarc"] = Judgement(Outcome.SHOWN, ("v=DMARC1; p=none",), "p=none only watches.")
    with as_role("worker"):
        checking.settle(domain_id=waiting.pk, name=waiting.name, judged=judged, now=timezone.now())
    with tenant(cast.hive.pk):
        sender = senders.create(
            by=cast.alice.actor,
            email=parse_address("hello@demo.example"),
            name="Hive Support",
            reply_to="help@demo.example",
        )
    return waiting, sender


def _invitation(cast: Cast) -> str:
    with tenant(cast.hive.pk):
        invitation = people.invite(
            email="dana@dana.example",
            role=Role.COMPLIANCE,
            by=cast.alice.actor,
            by_membership=cast.alice.membership,
        )
    return f"/accounts/invitation/{token_of(invitation)}"


def _visit(account: Account, message_id: UUID) -> Linker:
    """Somebody opens the message and clicks, and a scanner looks as well; the links of the mail."""
    with tenant(account.pk):
        recipient = Recipient.objects.select_related("message").get(message_id=message_id)
    source, now = Source("203.0.113.7", f"Mozilla/5.0 {HOSTILE}", ""), timezone.now()
    visits.record(visits.OPENED, recipient, Visit(source, now, "user_agent"))
    visits.record(visits.OPENED, recipient, Visit(source, now))
    visits.record(visits.CLICKED, recipient, Visit(source, now, target="https://shop.example/"))
    return Linker("", settings.LINK_KEYS, Place(account.pk, recipient.pk))


def _send(token: str, *, sender: str = "Hive <hello@demo.example>", **fields: str) -> UUID:
    answer = Client().post(
        "/v1/emails",
        {"from": sender, **fields},
        content_type="application/json",
        headers=bearer(token),
        secure=True,
    )
    return UUID(answer.json()["id"]) if answer.status_code < 300 else new_id()


def _finish(account: Account, message_id: UUID, state: str, data: dict[str, Any]) -> None:
    with tenant(account.pk):
        message = Message.objects.get(pk=message_id)
        recipient = Recipient.objects.get(message=message)
    claimed = {"attempt": 1, "claimed_at": timezone.now().isoformat(), "dkim": SIGNED}
    with tenant(account.pk), as_role("worker"):
        Recipient.objects.filter(pk=recipient.pk).update(state=state, attempts=1)
        DeliveryEvent.objects.create(
            account_id=account.pk,
            message=message,
            recipient_id=recipient.pk,
            type=f"email.{state}",
            data={**claimed, **data},
        )
