"""`make up` runs this: one real message from the API to the inbox, with the proof of each stage."""

import json
import mailbox
import os
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import dkim
import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from dns import resolver

from apikeys import gate
from auditlog import actions, checkpoints, proofs
from auditlog.checkpoints import Checkpoint
from auditlog.log_keys import public_keys
from auditlog.merkle import verify_inclusion
from auditlog.models import Entry
from auditlog.proofs import InclusionProof
from domains.models import Domain
from queensmtp import outbound
from queensmtp.actors import NOWHERE
from queensmtp.errors import DeliveryFailure, NotFound
from queensmtp.tenancy import tenant
from sending.audit import Event
from sending.management.commands.seed_demo import read_env
from sending.models import DeliveryEvent

PATIENCE_SECONDS = 30.0
SUBJECT = "The first message of this QueenSMTP"

Found = TypeVar("Found")


class Command(BaseCommand):
    help = "Send one message from the API to the inbox and print the proof of each stage."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo-env", required=True, type=Path)

    def handle(self, *args: Any, demo_env: Path, **options: Any) -> None:
        demo = read_env(demo_env)
        self.began = time.monotonic()
        account_id = _account_of(demo["QUEENSMTP_API_KEY"])
        self._verified(account_id, demo["QUEENSMTP_FROM"].rpartition("@")[2])
        email_id = self._accepted(demo)
        event = self._delivered(account_id, email_id)
        self._in_inbox(email_id)
        self._told_by_webhook(event)
        self._sealed(account_id, email_id)

    def _verified(self, account_id: UUID, name: str) -> None:
        def find() -> Domain | None:
            with tenant(account_id):
                return Domain.objects.verified().filter(name=name).first()

        domain = self._wait(find, f"{name} is not verified; see var/log/worker-records.log")
        self._say("verified", f"{name} by its DNS records, status {domain.status}")

    def _accepted(self, demo: dict[str, str]) -> UUID:
        body = {
            "from": f"QueenSMTP <{demo['QUEENSMTP_FROM']}>",
            "to": "someone@example.com",
            "subject": SUBJECT,
            "text": "It came by the API, through Postgres, a worker, DKIM and SMTP over TLS.",
        }
        request = outbound.Request(
            url=f"https://127.0.0.1:{settings.PORT_BASE + 443}/v1/emails",
            method="POST",
            headers={
                "Authorization": f"Bearer {demo['QUEENSMTP_API_KEY']}",
                "Content-Type": "application/json",
            },
            body=orjson.dumps(body),
        )
        response = self._wait(lambda: _answer(request), "the API does not answer")
        if response.status >= 300:
            raise CommandError(f"the API answered {response.status}: {response.body.decode()}")
        email_id = UUID(orjson.loads(response.body)["id"])
        self._say("accepted", f"{response.status}, id {email_id}")
        return email_id

    def _delivered(self, account_id: UUID, email_id: UUID) -> DeliveryEvent:
        def find() -> DeliveryEvent | None:
            with tenant(account_id):
                events = DeliveryEvent.objects.filter(message_id=email_id)
                _complain(events.last())
                return events.filter(type="email.delivered").first()

        event = self._wait(find, "the message was not delivered; see var/log/worker-send.log")
        data = event.data
        signatures = "; ".join(f"d={one['d']} s={one['s']} ({one['a']})" for one in data["dkim"])
        self._say("claimed", f"by the worker at {data['claimed_at'][11:23]} UTC")
        self._say("signed", signatures)
        self._say(
            "delivered",
            f"to {data['mx_host']} over {data['tls_version']} ({data['tls_cipher']}): "
            f"{data['code']} {data['enhanced_code']} {data['reply']}",
        )
        return event

    def _in_inbox(self, email_id: UUID) -> None:
        box = mailbox.Maildir(settings.INBOX_DIR, factory=None, create=False)
        path = self._wait(lambda: _find_file(box, email_id), "the message is not in the inbox")
        message = path.read_bytes()
        count = sum(1 for line in message.split(b"\r\n") if line.startswith(b"DKIM-Signature:"))
        verdicts = [dkim.DKIM(message).verify(idx=at, dnsfunc=_txt) for at in range(count)]
        if not verdicts or not all(verdicts):
            raise CommandError(f"a DKIM signature of {path} does not verify: {verdicts}")
        self._say("in the inbox", f"{count} DKIM signatures verify by DNS; {path}")

    def _told_by_webhook(self, event: DeliveryEvent) -> None:
        log = Path(os.environ["DEMO_WEBHOOK_LOG"])
        line = self._wait(lambda: _find_line(log, str(event.pk)), "no webhook arrived")
        if not line["verified"]:
            raise CommandError("the signature of the webhook did not verify")
        self._say("webhook", f"{line['type']} delivered, X-QueenSMTP-Signature verified")

    def _sealed(self, account_id: UUID, email_id: UUID) -> None:
        proof, checkpoint = self._wait(
            lambda: _proof(account_id, email_id),
            "the audit entry is not sealed; see var/log/worker-audit.log",
        )
        if not verify_inclusion(
            leaf=proof.leaf_hash,
            index=proof.leaf_index,
            size=proof.size,
            proof=proof.hashes,
            root=checkpoint.root,
        ):
            raise CommandError("the audit entry's inclusion proof does not verify")
        self._say(
            "sealed",
            f"audit entry at leaf {proof.leaf_index} of {proof.size}, "
            f"root {checkpoint.root.hex()[:16]}…, checkpoint and proof verified",
        )

    def _wait(self, look: Callable[[], Found | None], otherwise: str) -> Found:
        until = time.monotonic() + PATIENCE_SECONDS
        while (found := look()) is None:
            if time.monotonic() > until:
                raise CommandError(otherwise)
            time.sleep(0.05)
        return found

    def _say(self, stage: str, proof: str) -> None:
        passed = time.monotonic() - self.began
        self.stdout.write(f"  {passed:6.2f} s  {stage:<13} {proof}")
        self.stdout.flush()


def _account_of(token: str) -> UUID:
    record = gate.present(token, origin=NOWHERE, now=timezone.now()).record
    if record is None:
        raise CommandError("the key in demo.env is unknown; remove the file and start again")
    return record.account_id


def _answer(request: outbound.Request) -> outbound.Response | None:
    try:
        return outbound.send(request)
    except DeliveryFailure:
        return None


def _complain(event: DeliveryEvent | None) -> None:
    if event is not None and event.type in ("email.bounced", "email.failed"):
        raise CommandError(f"{event.type}: {event.data['reply']}")


def _find_file(box: mailbox.Maildir, email_id: UUID) -> Path | None:
    wanted = f"Message-ID: <{email_id}@".encode()
    for path in sorted(Path(settings.INBOX_DIR, "new").iterdir(), reverse=True):
        if wanted in path.read_bytes():
            return path
    return None


def _txt(name: bytes, timeout: float = 5) -> bytes | None:
    """Ask the demo's DNS, as a receiver would ask the world's."""
    asker = resolver.Resolver(configure=False)
    asker.nameservers, asker.port = ["127.0.0.1"], settings.PORT_BASE + 53
    answer = asker.resolve(name.decode(), "TXT", lifetime=timeout)
    return b"".join(next(iter(answer)).strings)


def _find_line(log: Path, event_id: str) -> dict[str, Any] | None:
    if not log.exists():
        return None
    for line in reversed(log.read_text().splitlines()):
        found: dict[str, Any] = json.loads(line)
        if found["id"] == event_id:
            return found
    return None


def _proof(account_id: UUID, email_id: UUID) -> tuple[InclusionProof, Checkpoint] | None:
    """The entry's proof in the newest signed tree; None while it waits to be sealed."""
    with tenant(account_id):
        entry = Entry.objects.of_account(account_id).get(
            target_id=str(email_id), event=Event.SUBMITTED
        )
        try:
            leaf = proofs.leaf_of_entry(account_id, entry.pk)
            head = proofs.latest_checkpoint(account_id)
            proof = proofs.inclusion_proof(account_id, leaf=leaf, size=head.size)
        except NotFound:
            return None
    origin = actions.origin(account_id)
    return proof, checkpoints.verify(head.note, origin=origin, public_keys=public_keys())
