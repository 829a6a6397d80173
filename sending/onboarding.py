"""The first steps of a new account, each read from the real state, none ticked by hand."""

from collections.abc import Sequence
from dataclasses import dataclass

from allauth.mfa.utils import is_mfa_enabled
from django.urls import reverse

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from apikeys.models import ApiKey
from domains.models import Domain
from sending.models import Message

DISMISSED_SESSION_KEY = "welcome_dismissed"


@dataclass(frozen=True)
class Step:
    title: str
    why: str
    is_done: bool
    url: str
    action: str
    right: Right


def steps_for(request: ConsoleRequest) -> list[Step]:
    has_key = ApiKey.objects.filter(account=request.account).exists()
    has_message = Message.objects.filter(account=request.account).exists()
    has_domain = Domain.objects.filter(account=request.account).verified().exists()
    found = [
        Step(
            title="Secure your sign-in",
            why="A second factor keeps a lost password from becoming a lost account.",
            is_done=is_mfa_enabled(request.user),
            url=reverse("mfa_index"),
            action="Add a second factor",
            right=Right.HOME_READ,
        ),
        Step(
            title="Create an API key",
            why="Give it only the scopes, domains and addresses that its program needs.",
            is_done=has_key,
            url=reverse("key_create"),
            action="Create a key",
            right=Right.KEYS_WRITE,
        ),
        Step(
            title="Verify a sending domain",
            why="Its DNS records let the world check that mail from it is yours.",
            is_done=has_domain,
            url=reverse("domain_add"),
            action="Add a domain",
            right=Right.DOMAINS_WRITE,
        ),
        Step(
            title="Send a first message",
            why="One command, shown with every new key; then follow the message here.",
            is_done=has_message,
            url=reverse("message_list"),
            action="How to send",
            right=Right.MESSAGES_READ,
        ),
    ]
    return [step for step in found if request.membership and request.membership.has(step.right)]


def is_shown(request: ConsoleRequest, steps: Sequence[Step]) -> bool:
    is_dismissed = request.session.get(DISMISSED_SESSION_KEY) == str(request.account.pk)
    return not is_dismissed and not all(step.is_done for step in steps)


def dismiss(request: ConsoleRequest) -> None:
    request.session[DISMISSED_SESSION_KEY] = str(request.account.pk)
