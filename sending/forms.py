from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms

from auditlog.models import EntryQuerySet
from sending.models import HoldKind, MessageQuerySet, Recipient
from sending.request_log import endpoints
from sending.states import State

EXACT = forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"})


class MessageFilterForm(forms.Form):
    status = forms.ChoiceField(
        required=False,
        choices=[("", "Any status"), *((one.value, one.value.replace("_", " ")) for one in State)],
    )
    recipient = forms.CharField(required=False, max_length=320, widget=EXACT)
    sender = forms.CharField(required=False, max_length=320, widget=EXACT)
    subject = forms.CharField(required=False, max_length=200, label="Subject has")
    tag = forms.CharField(
        required=False, max_length=513, widget=EXACT, label="Tag (name or name=value)"
    )
    domain = forms.CharField(required=False, max_length=253, widget=EXACT, label="Sending domain")
    key = forms.UUIDField(required=False, label="Key id", widget=EXACT)
    since = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To", widget=forms.DateInput(attrs={"type": "date"})
    )

    @property
    def has_words(self) -> bool:
        """Subjects and tags are read one by one."""
        return any(self.data.get(name) for name in ("subject", "tag"))

    def chips(self) -> list[tuple[str, str]]:
        names = self.base_fields
        return [(name, self.data[name]) for name in names if self.data.get(name)]

    def narrow(self, messages: MessageQuerySet) -> MessageQuerySet:
        """What the filters but the days describe; nothing when they cannot be read."""
        if not self.is_valid():
            return messages.none()
        given: dict[str, Any] = self.cleaned_data
        if given["recipient"]:
            messages = messages.addressed_to(given["recipient"].strip().lower())
        if given["sender"]:
            messages = messages.filter(sender_address=given["sender"].strip().lower())
        if given["key"]:
            messages = messages.filter(key_id=given["key"])
        if given["status"]:
            reached = Recipient.objects.filter(state=given["status"]).values("message_id")
            messages = messages.filter(pk__in=reached)
        if given["domain"]:
            messages = messages.filter(domain__name=given["domain"].strip().lower())
        if given["subject"]:
            messages = messages.filter(subject__icontains=given["subject"])
        if given["tag"]:
            name, is_pair, value = given["tag"].strip().partition("=")
            tag = {"name": name, "value": value} if is_pair else {"name": name}
            messages = messages.filter(tags__contains=[tag])
        return messages

    def of_days(self, messages: MessageQuerySet) -> MessageQuerySet:
        """Those of the days from the first to the last one."""
        if not self.is_valid():
            return messages.none()
        first, last = self.cleaned_data["since"], self.cleaned_data["until"]
        if first:
            messages = messages.filter(pk__gte=_first_id_of(first))
        if last:
            messages = messages.filter(pk__lt=_first_id_of(last + timedelta(days=1)))
        return messages


class RequestFilterForm(forms.Form):
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), *((one, one) for one in ("allowed", "refused", "failed"))],
    )
    call = forms.ChoiceField(required=False, choices=[])
    key = forms.UUIDField(required=False, label="Key id", widget=EXACT)
    ip = forms.GenericIPAddressField(required=False, label="Address", widget=EXACT)
    request = forms.CharField(required=False, max_length=36, label="Request id", widget=EXACT)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        calls = {f"{method} {path}": event for event, (method, path) in endpoints().items()}
        choices = [(event, call) for call, event in sorted(calls.items(), key=lambda one: one[0])]
        self.fields["call"].choices = [("", "Any call"), *choices]  # type: ignore[attr-defined]

    def chips(self) -> list[tuple[str, str]]:
        return [(name, self.data[name]) for name in self.base_fields if self.data.get(name)]

    def narrow(self, entries: EntryQuerySet) -> EntryQuerySet:
        """What the filters describe; nothing when they cannot be read."""
        if not self.is_valid():
            return entries.none()
        columns = {"outcome": "outcome", "call": "event", "key": "key_id", "ip": "ip"}
        columns["request"] = "request_id"
        given = {columns[name]: value for name, value in self.cleaned_data.items() if value}
        return entries.filter(**given)


class HoldForm(forms.Form):
    kind = forms.ChoiceField(label="Hold back", choices=HoldKind.choices)
    name = forms.CharField(
        required=False,
        max_length=253,
        label="Domain",
        widget=EXACT,
        help_text="The sending domain or the destination; leave it empty for all mail.",
    )
    reason = forms.CharField(
        required=False, max_length=200, help_text="Your colleagues read it in the queue."
    )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("kind") == HoldKind.ACCOUNT and given.get("name"):
            self.add_error("name", "All mail is held back: leave the domain empty.")
        return given


class ContentDaysForm(forms.Form):
    days = forms.IntegerField(
        label="Days",
        min_value=0,
        max_value=365,
        help_text="0 keeps them until every recipient has its end state. At most 365.",
    )


def _first_id_of(day: Any) -> UUID:
    """Ids are made in the order of time, so a day is a range of ids, and of partitions."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UUID(int=max(0, int(midnight.timestamp() * 1000)) << 80)
