"""`make up` runs this: a demo account that can send at once, and var/demo.env to try it with."""

import os
import secrets
import shlex
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts import actions as accounts
from accounts.models import Account, User
from accounts.seats import memberships_of
from apikeys import actions as apikeys
from apikeys import gate
from apikeys.models import ApiKey
from apikeys.rights import Rights
from apikeys.tokens import Environment
from domains import actions as domains
from domains.models import Domain
from queensmtp.actors import Origin, system_actor
from queensmtp.scopes import ALL
from queensmtp.tenancy import tenant
from webhooks import actions as webhooks
from webhooks import secret_actions
from webhooks.models import Endpoint
from webhooks.payloads import EMAIL_EVENTS

EMAIL = "demo@demo.example"
DOMAIN = "demo.example"
KEY_NAME = "Demo key of make up"
ACTOR = "make up"
LOOPBACK = Origin(ip="127.0.0.1", user_agent=ACTOR, request_id="")


class Command(BaseCommand):
    help = "Make the demo account of `make up`, or put right what is missing of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--demo-env", required=True, type=Path)

    def handle(self, *args: Any, demo_env: Path, **options: Any) -> None:
        if settings.MODE == "production":
            raise CommandError("The demo account is only for the embedded mode of `make up`.")
        known = read_env(demo_env)
        user, password = _person(known.get("QUEENSMTP_CONSOLE_PASSWORD"))
        account = _account(user)
        with tenant(account.pk):
            _domain(account)
            _endpoint(account)
            secret = secret_actions.reveal(by=system_actor(account.pk, ACTOR))
            token = _token(account, known.get("QUEENSMTP_API_KEY", ""))
        _write_private(Path(os.environ["DEMO_WEBHOOK_SECRET_FILE"]), secret + "\n")
        _write_private(demo_env, _env_text(token, password))


def read_env(path: Path) -> dict[str, str]:
    """The variables of a demo.env that an earlier run wrote."""
    if not path.exists():
        return {}
    words = shlex.split(path.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def _person(password: str | None) -> tuple[User, str]:
    user = User.objects.filter(email=EMAIL).first()
    if user is None:
        password = password or secrets.token_urlsafe(15)
        return User.objects.create_user(EMAIL, password, name="Demo"), password
    if password is None or not user.check_password(password):
        password = secrets.token_urlsafe(15)
        user.set_password(password)
        user.save(update_fields=["password"])
    return user, password


def _account(user: User) -> Account:
    for membership in memberships_of(user.pk):
        return membership.account
    return accounts.create_account(name="Demo", owner=user, by=system_actor(None, ACTOR))


def _domain(account: Account) -> None:
    by = system_actor(account.pk, ACTOR)
    domain = Domain.objects.standing().filter(name=DOMAIN).first()
    domain = domain or domains.create(by=by, name=DOMAIN)
    if not domain.can_send:
        # A worker does it as soon as the demo's DNS answers; the first message waits for it.
        domains.request_check(by=by, domain=domain)


def _endpoint(account: Account) -> None:
    url = f"https://127.0.0.1:{settings.PORT_BASE + 444}/"
    if not Endpoint.objects.standing().filter(url=url).exists():
        by = system_actor(account.pk, ACTOR)
        webhooks.create_endpoint(by=by, url=url, events=EMAIL_EVENTS)


def _token(account: Account, known: str) -> str:
    """The key of the last run while it lives; else a new one, and the old are revoked."""
    if known and gate.present(known, origin=LOOPBACK).refusal is None:
        return known
    by = system_actor(account.pk, ACTOR)
    for old in ApiKey.objects.live(timezone.now()).filter(name=KEY_NAME):
        apikeys.revoke(by=by, key=old, reason="replaced by a new demo key")
    _, token = apikeys.create(
        by=by,
        name=KEY_NAME,
        environment=Environment.PRODUCTION,
        rights=Rights(scopes=tuple(sorted(ALL))),
    )
    return token.text


def _env_text(token: str, password: str) -> str:
    base = settings.PORT_BASE
    values = {
        "QUEENSMTP_URL": f"https://localhost:{base + 443}/v1",
        "QUEENSMTP_API_KEY": token,
        "QUEENSMTP_CA": os.path.abspath(settings.LOCAL_CA_FILE),
        "QUEENSMTP_CONSOLE_URL": settings.CONSOLE_URL,
        "QUEENSMTP_CONSOLE_EMAIL": EMAIL,
        "QUEENSMTP_CONSOLE_PASSWORD": password,
        "QUEENSMTP_SMTP_HOST": "localhost",
        "QUEENSMTP_SMTP_TLS_PORT": str(base + 465),
        "QUEENSMTP_SMTP_STARTTLS_PORT": str(base + 587),
        "QUEENSMTP_FROM": f"hello@{DOMAIN}",
        "QUEENSMTP_INBOX_DIR": os.path.abspath(settings.INBOX_DIR),
    }
    lines = [f"export {name}='{value}'" for name, value in values.items()]
    return "\n".join(["# Written by `make up`. Use it with: . var/demo.env", *lines, ""])


def _write_private(path: Path, text: str) -> None:
    """Readable by its owner from its first byte on, and never half written."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
