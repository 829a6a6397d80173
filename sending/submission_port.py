"""What the SMTP submission ports do with a client: the API's own gates, in SMTP's words.

The key is presented anew for every message, so that a session opened yesterday has no right
that was taken away today. A 250 is said after the commit and carries the e-mail's id.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

from apikeys import failures, gate, policy
from apikeys.gate import Presented
from apikeys.policy import KeyRecord, Refusal
from auditlog import actions as audit
from queensmtp import addresses, client_address
from queensmtp.actors import Actor, Origin
from queensmtp.addresses import AddressRefused
from queensmtp.errors import ApiError, RateLimited, ValidationFailed
from queensmtp.ids import new_id
from queensmtp.redaction import without_secrets
from queensmtp.scopes import Scope
from sending import accept, idempotency, received_mail
from sending.audit import Event
from sending.database_threads import in_thread
from sending.errors import DailyQuotaExceeded, MonthlyQuotaExceeded
from sending.gates import Idempotency, Refused
from sending.mailrooms import Client, Envelope, LoggedIn
from sending.received_mail import MailRefused, ReceivedMail

USERS = frozenset({"queensmtp", "resend", "apikey"})
ENDPOINT = "smtp"
REPLY_LIMIT = 400
TOO_MANY_FAILURES = "454 4.7.0 Too many failures from this address; try again later"
WRONG_LOGIN = "535 5.7.8 Log in as queensmtp with an API key as the password"


@dataclass(slots=True)
class Login:
    """The token of a session, kept to be presented again; never shown."""

    token: str

    def __repr__(self) -> str:
        return "Login()"


class SubmissionMailroom:
    """Django is synchronous: what asks the database runs in the threads of `executor`."""

    needs_login = True

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    async def log_in(self, user: str, password: str, client: Client) -> LoggedIn | str:
        return await in_thread(self.executor, lambda: log_in(user, password, client))

    async def refuse_sender(self, envelope: Envelope, client: Client) -> str | None:
        return await in_thread(self.executor, lambda: refuse_sender(envelope, client))

    async def refuse_recipient(
        self, address: str, envelope: Envelope, client: Client
    ) -> str | None:
        return refuse_recipient(address)

    async def take(self, envelope: Envelope, content: bytes, client: Client) -> str:
        return await in_thread(self.executor, lambda: take(envelope, content, client))


def log_in(user: str, password: str, client: Client) -> LoggedIn | str:
    """AUTH. A known key that is refused leaves its trace in the owner's log."""
    origin = origin_of(client)
    if user.lower() not in USERS:
        return TOO_MANY_FAILURES if failures.count_one(origin.ip) else WRONG_LOGIN
    presented = gate.present(password, origin=origin)
    refusal = presented.refusal or _scope_refusal(presented)
    if refusal is None:
        return LoggedIn(Login(password))
    _record_refusal(presented.actor, refusal)
    if isinstance(refusal.error, RateLimited):
        return TOO_MANY_FAILURES
    return f"535 5.7.8 {_one_line(refusal.error)}"


def refuse_sender(envelope: Envelope, client: Client) -> str | None:
    """MAIL FROM: the key lives, and may send from this domain."""
    try:
        sender = addresses.parse_address(envelope.sender)
    except AddressRefused as problem:
        return f"550 5.1.7 The sender {problem.message}"
    presented = present_again(client)
    refusal = presented.refusal or _scope_refusal(presented)
    if refusal is None:
        assert presented.record is not None
        refusal = policy.may_send_from(presented.record, sender.domain)
    if refusal is None:
        return None
    _record_refusal(presented.actor, refusal)
    return reply_to(refusal.error)


def refuse_recipient(address: str) -> str | None:
    """RCPT TO: only the form. Whether the key may write to it, the accept core decides."""
    try:
        addresses.parse_address(address)
    except AddressRefused as problem:
        return f"550 5.1.3 The recipient {problem.message}"
    return None


def take(envelope: Envelope, content: bytes, client: Client) -> str:
    """The message: read, then through every gate of the accept core."""
    presented = present_again(client)
    refusal = presented.refusal or _scope_refusal(presented)
    if refusal is not None:
        _record_refusal(presented.actor, refusal)
        return reply_to(refusal.error)
    assert presented.record is not None and presented.actor is not None
    try:
        return _accept(envelope, content, presented.record, presented.actor)
    except MailRefused as problem:
        _record(presented.actor, "content_refused")
        return f"554 5.6.0 {_shortened(str(problem))}"
    except Refused as refused:
        _record(presented.actor, refused.reason)
        return reply_to(refused.error)


def _accept(envelope: Envelope, content: bytes, key: KeyRecord, actor: Actor) -> str:
    recipients = [addresses.parse_address(one).address for one in envelope.recipients]
    mail = received_mail.read(content, recipients=recipients)
    assert mail.sender is not None
    if mail.sender.domain != addresses.parse_address(envelope.sender).domain:
        raise MailRefused("MAIL FROM and From must be of the same domain")
    accepted = accept.accept_email(
        mail, key=key, actor=actor, via="smtp", idempotency=_idempotency(mail, envelope)
    )
    return f"250 2.0.0 Accepted as {accepted.email_id}"


def _idempotency(mail: ReceivedMail, envelope: Envelope) -> Idempotency | None:
    """Compared by envelope: a client's retry has new boundaries and a new Date."""
    if mail.idempotency_key is None:
        return None
    if not idempotency.is_key(mail.idempotency_key):
        raise MailRefused("The idempotency key must be 1 to 256 printable ASCII characters")
    fingerprint = idempotency.envelope_fingerprint(
        sender=envelope.sender, recipients=envelope.recipients
    )
    return Idempotency(ENDPOINT, mail.idempotency_key, fingerprint)


def present_again(client: Client) -> Presented:
    """The key of the session as it is now."""
    return gate.present(client.login.token, origin=origin_of(client))


def origin_of(client: Client) -> Origin:
    """Where the session comes from. No proxy stands before these ports."""
    address = client_address.canonical(client.address)
    return Origin(
        ip=str(address) if address else None,
        user_agent=without_secrets(f"SMTP {client.helo}"),
        request_id=str(new_id()),
    )


def reply_to(error: ApiError) -> str:
    """An error of the API in the words of SMTP."""
    if error.status == 429 and not _never_fits(error):
        return f"451 4.7.0 {_one_line(error)}"
    if error.status >= 500:
        return f"451 4.3.0 {_one_line(error)}"
    if error.status == 413:
        return f"552 5.3.4 {_one_line(error)}"
    if isinstance(error, ValidationFailed):
        return f"554 5.6.0 {_one_line(error)}"
    return f"550 5.7.1 {_one_line(error)}"


def _never_fits(error: ApiError) -> bool:
    """A quota that is smaller than the message: to send it again would change nothing."""
    is_of_quota = isinstance(error, DailyQuotaExceeded | MonthlyQuotaExceeded)
    return is_of_quota and "Retry-After" not in error.headers


def _scope_refusal(presented: Presented) -> Refusal | None:
    if presented.record is None:
        return None
    return policy.authorise(presented.record, scope=Scope.EMAIL_SEND)


def _record_refusal(actor: Actor | None, refusal: Refusal) -> None:
    """The owner learns the true reason; who guesses at a key is not named after it."""
    if actor is not None and refusal.names_real_key:
        _record(actor, refusal.reason)


def _record(actor: Actor, reason: str) -> None:
    changes = {"reason": reason, "via": "smtp"}
    audit.record_alone(by=actor, event=Event.SUBMITTED, outcome="refused", changes=changes)


def _one_line(error: ApiError) -> str:
    return _shortened(error.message)


def _shortened(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown[:REPLY_LIMIT]
