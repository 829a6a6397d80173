from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from apikeys import rights as key_rights
from apikeys.rights import Reading, Rights
from apikeys.tokens import Environment
from queensmtp.errors import FieldError
from queensmtp.redaction import holds_secret
from queensmtp.scopes import Scope

CUSTOM = "custom"
# What most programs need, so that nobody ticks "everything" out of haste.
PRESETS: dict[str, tuple[str, frozenset[Scope]]] = {
    "send": ("Send only", frozenset({Scope.EMAIL_SEND})),
    "send_and_read": (
        "Send, and read what became of it",
        frozenset({Scope.EMAIL_SEND, Scope.EMAIL_READ}),
    ),
    "application": (
        "A whole application: mail, templates, contacts, suppressions",
        frozenset(
            {
                Scope.EMAIL_SEND,
                Scope.EMAIL_READ,
                Scope.TEMPLATES_READ,
                Scope.CONTACTS_READ,
                Scope.CONTACTS_WRITE,
                Scope.SUPPRESSIONS_READ,
                Scope.SUPPRESSIONS_WRITE,
            }
        ),
    ),
    "audit": ("Read the audit log", frozenset({Scope.AUDIT_READ})),
    "everything": ("Everything, creating keys included", frozenset(Scope)),
}

NEVER = "never"
ON_DATE = "date"
ON_SCHEDULE = "schedule"
SECONDS_A_DAY = 86_400
EXPIRIES = {"7": "In 7 days", "30": "In 30 days", "90": "In 90 days", "365": "In a year"}
EXPIRY_CHOICES = [
    *EXPIRIES.items(),
    (NEVER, "Never"),
    (ON_DATE, "On a date"),
    (ON_SCHEDULE, "When it must be rotated, and so on"),
]

# The names that `apikeys.rights` gives to what is wrong, and the fields that people see.
FIELD_OF_RIGHT = {
    "expires_at": "expires",
    "rate_limit": "rate_requests",
    "rotate_every_seconds": "rotate_every_days",
}
# What a form opens by itself, since something was filled in there.
SELDOM_NEEDED = (
    *("allowed_recipients", "rate_requests", "rate_per_seconds", "daily_quota"),
    *("labels", "notes", "is_decoy"),
)


def ranges_field(*, rows: int) -> forms.CharField:
    return forms.CharField(
        widget=forms.Textarea(attrs={"rows": rows, "spellcheck": "false"}),
        required=False,
        label="Allowed addresses",
        help_text="Addresses or ranges such as 203.0.113.0/24 or 2001:db8::/48, one per line. "
        "Left empty, the key works from everywhere.",
    )


def wide_field() -> forms.BooleanField:
    label = "Take ranges wider than /8 (IPv4) or /32 (IPv6); I mean it"
    return forms.BooleanField(required=False, label=label)


class KeyForm(forms.Form):
    name = forms.CharField(
        max_length=key_rights.NAME_LIMIT,
        help_text="The program and where it runs, for example “Shop, checkout mails”.",
    )
    environment = forms.ChoiceField(
        choices=[(one.value, one.value.title()) for one in Environment],
        widget=forms.RadioSelect,
        initial=Environment.DEVELOPMENT.value,
        help_text="A development key never sends to the outside; its mail stays in the sandbox.",
    )
    preset = forms.ChoiceField(
        label="Rights",
        choices=[*((key, label) for key, (label, _) in PRESETS.items()), (CUSTOM, "Only these:")],
        widget=forms.RadioSelect,
        initial="send",
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text="Each allows what its name says. Only templates:rw includes another, "
        "templates:read.",
    )
    domains = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        required=False,
        label="Sending domains",
        help_text="One per line; *.example.com for what is below example.com. Left empty, every "
        "verified domain of the account.",
    )
    allowed_cidrs = ranges_field(rows=3)
    allow_wide_cidrs = wide_field()
    allowed_recipients = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        required=False,
        label="Allowed recipients",
        help_text="@example.com for a domain or a whole address, one per line. Left empty: anyone.",
    )
    expires = forms.ChoiceField(choices=EXPIRY_CHOICES, initial="90")
    expires_on = forms.DateField(
        required=False,
        label="Date of expiry",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The key ends when that day begins, your time.",
    )
    rotate_every_days = forms.IntegerField(
        required=False,
        min_value=key_rights.SCHEDULE_MINIMUM // SECONDS_A_DAY,
        max_value=key_rights.SCHEDULE_MAXIMUM // SECONDS_A_DAY,
        label="Rotate every so many days",
        help_text="You are reminded 14, 7 and 1 days before; a key that nobody rotates in time is "
        "dead.",
    )
    rate_requests = forms.IntegerField(
        required=False, min_value=1, label="Requests", help_text="Left empty: the default rate."
    )
    rate_per_seconds = forms.IntegerField(required=False, min_value=1, label="In so many seconds")
    daily_quota = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=key_rights.QUOTA_MAXIMUM,
        label="Recipients in a day",
        help_text="Beyond it mail is refused until midnight UTC. Keys that replace this one share "
        "it. Left empty: only the quota of the account, if it has one.",
    )
    is_decoy = forms.BooleanField(
        required=False,
        label="A decoy: it never works, and raises an alarm when somebody tries it",
        help_text="Lay it where only a thief looks: an old server, a wiki, a backup.",
    )
    labels = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        required=False,
        help_text="One per line, such as “client: acme”. They are filters in the audit log.",
    )
    notes = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}),
        required=False,
        max_length=key_rights.NOTES_LIMIT,
    )

    @property
    def uses_seldom_needed(self) -> bool:
        return any(self[name].value() for name in SELDOM_NEEDED if name in self.fields)

    rights: Rights
    read_labels: dict[str, str]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in [name for name, value in cleaned.items() if holds_secret(value)]:
            self.add_error(name, "This holds an API key or a signing secret; remove it.")
        if self.errors:
            return cleaned
        reading = Reading()
        body = self._body(cleaned)
        self.rights = key_rights.read(body, now=timezone.now(), reading=reading)
        self.read_labels = key_rights.read_labels(body, reading)
        for problem in reading.problems:
            name = problem.field.partition("[")[0].partition(".")[0]
            self.add_error(FIELD_OF_RIGHT.get(name, name), in_form_words(problem))
        return cleaned

    def _body(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        """The form as the API would have been sent it, so that one reader judges both."""
        return {
            "scopes": _scopes(cleaned),
            "domains": [line.lower() for line in lines(cleaned["domains"])] or None,
            "allowed_cidrs": lines(cleaned.get("allowed_cidrs", "")) or None,
            "allow_wide_cidrs": cleaned.get("allow_wide_cidrs", False),
            "allowed_recipients": [line.lower() for line in lines(cleaned["allowed_recipients"])]
            or None,
            "expires_at": self._expires_at(cleaned),
            "rotate_every_seconds": self._schedule(cleaned),
            "rate_limit": _rate(cleaned),
            "daily_quota": cleaned.get("daily_quota"),
            "labels": self._labels(cleaned["labels"]),
        }

    def _expires_at(self, cleaned: Mapping[str, Any]) -> str | None:
        choice = cleaned["expires"]
        if choice in (NEVER, ON_SCHEDULE):
            return None
        if choice != ON_DATE:
            return (timezone.now() + timedelta(days=int(choice))).isoformat()
        if cleaned["expires_on"] is None:
            self.add_error("expires_on", "Give the date.")
            return None
        midnight = datetime.combine(cleaned["expires_on"], datetime.min.time())
        return timezone.make_aware(midnight).isoformat()

    def _schedule(self, cleaned: Mapping[str, Any]) -> int | None:
        if cleaned["expires"] != ON_SCHEDULE:
            return None
        if cleaned["rotate_every_days"] is None:
            self.add_error("rotate_every_days", "Give the days.")
            return None
        days: int = cleaned["rotate_every_days"]
        return days * SECONDS_A_DAY

    def _labels(self, text: str) -> dict[str, str]:
        found = {}
        for line in lines(text):
            name, colon, value = line.partition(":")
            if not colon:
                self.add_error("labels", f"“{line[:40]}” has no colon; write “name: value”.")
            found[name.strip()] = value.strip()
        return found


def in_form_words(problem: FieldError) -> str:
    """A problem as the API tells it, for people, who see boxes and no JSON."""
    message = problem.message.replace(
        "set `allow_wide_cidrs` to true if you mean it", "tick the box below if you mean it"
    )
    return message[:1].upper() + message[1:]


def lines(text: str) -> list[str]:
    parts = (part.strip() for line in text.splitlines() for part in line.split(","))
    return list(dict.fromkeys(part for part in parts if part))


def _scopes(cleaned: Mapping[str, Any]) -> list[str]:
    if cleaned["preset"] == CUSTOM:
        return list(cleaned["scopes"])
    return [scope.value for scope in Scope if scope in PRESETS[cleaned["preset"]][1]]


def _rate(cleaned: Mapping[str, Any]) -> dict[str, int | None] | None:
    requests, seconds = cleaned.get("rate_requests"), cleaned.get("rate_per_seconds")
    if requests is None and seconds is None:
        return None
    return {"requests": requests, "per_seconds": seconds}
