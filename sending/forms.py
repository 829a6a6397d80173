from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms

from sending.models import HoldKind, MessageQuerySet, Recipient
from sending.states import State

EXACT = forms.TextInput(attrs={"spellcheck": "false", "autocapitalize": "none"})


class MessageFilterForm(forms.Form):
    status = forms.ChoiceField(
        required=False,
        choices=[("", "Any status"), *((one.value, one.value.replace("_", " ")) for one in State)],
    )
    recipient = forms.CharField(required=False, max_length=320, widget=EXACT)
    sender = forms.CharField(required=False, max_length=320, widget=EXACT)
    key = forms.UUIDField(required=False, label="Key id", widget=EXACT)
    since = forms.DateField(
        required=False, label="From", widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        required=False, label="To", widget=forms.DateInput(attrs={"type": "date"})
    )

    def chips(self) -> list[tuple[str, str]]:
        names = self.base_fields
        return [(name, self.data[name]) for name in names if self.data.get(name)]

    def narrow(self, messages: MessageQuerySet) -> MessageQuerySet:
        """What the filters describe; nothing when they cannot be read."""
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
        if given["since"]:
            messages = messages.filter(pk__gte=_first_id_of(given["since"]))
        if given["until"]:
            messages = messages.filter(pk__lt=_first_id_of(given["until"] + timedelta(days=1)))
        return messages


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


def _first_id_of(day: Any) -> UUID:
    """Ids are made in the order of time, so a day is a range of ids, and of partitions."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return UUID(int=max(0, int(midnight.timestamp() * 1000)) << 80)
