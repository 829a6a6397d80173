from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from queensmtp.errors import ApiError
from webhooks import endpoint_urls
from webhooks.models import Endpoint
from webhooks.payloads import EVENT_TYPES

EXACT = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
# What most receivers are for, so that a new one is not told of everything.
FIRST_CHOICE = ("email.delivered", "email.bounced", "email.complained", "email.failed")
STATUSES = {
    "": "Any",
    "failed": "Failed",
    "attempting": "Being tried",
    "pending": "Waiting",
    "success": "Delivered",
}
OVERLAPS = {"0": "Now", "3600": "In 1 hour", "86400": "In 24 hours", "604800": "In 7 days"}
SINCE = {"1": "the last hour", "24": "the last day", "168": "the last week", "720": "30 days"}


class EndpointForm(forms.Form):
    endpoint = forms.CharField(
        label="URL",
        max_length=2_048,
        widget=forms.TextInput(attrs={**EXACT, "inputmode": "url"}),
        help_text="https:// and a public host. A user and a password in it are kept encrypted.",
    )
    events = forms.MultipleChoiceField(
        choices=[(one, one) for one in EVENT_TYPES],
        widget=forms.CheckboxSelectMultiple,
        initial=FIRST_CHOICE,
    )
    ordered = forms.BooleanField(
        required=False,
        label="In order: one at a time, and a failed one holds up those after it",
    )

    @classmethod
    def of(cls, endpoint: Endpoint) -> "EndpointForm":
        return cls(
            initial={
                "endpoint": endpoint.shown_url,
                "events": endpoint.events,
                "ordered": endpoint.is_ordered,
            }
        )

    def clean_endpoint(self) -> str:
        url: str = self.cleaned_data["endpoint"].strip()
        try:
            endpoint_urls.split(url)
        except ApiError as refusal:
            raise forms.ValidationError(refusal.message.removeprefix("`endpoint`: ")) from None
        return url


class RotateForm(forms.Form):
    overlap = forms.ChoiceField(
        label="When does the old secret stop signing?",
        choices=[*OVERLAPS.items()],
        widget=forms.RadioSelect,
        initial="86400",
    )


class DeliveryFilterForm(forms.Form):
    status = forms.ChoiceField(required=False, choices=[*STATUSES.items()])


class ResendForm(forms.Form):
    hours = forms.ChoiceField(label="All that failed in", choices=[*SINCE.items()], initial="24")

    @property
    def since(self) -> Any:
        return timezone.now() - timedelta(hours=int(self.cleaned_data["hours"]))


class TestForm(forms.Form):
    type = forms.ChoiceField(
        label="Event", choices=[(one, one) for one in EVENT_TYPES], initial="email.delivered"
    )


class SignatureForm(forms.Form):
    header = forms.CharField(
        label="X-QueenSMTP-Signature, as your server received it",
        max_length=2_048,
        widget=forms.Textarea(attrs={**EXACT, "rows": 3}),
    )
