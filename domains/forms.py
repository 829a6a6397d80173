from collections.abc import Callable
from typing import Any, TypeVar

from django import forms

from domains.models import DEFAULT_RETURN_PATH, Domain
from domains.serializers import SELECTOR_LIMIT
from queensmtp.errors import ApiError

Read = TypeVar("Read")

PLAIN_TEXT = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
# The names that the API gives to what is wrong, and the fields that people see.
FIELD_OF_API = {"custom_return_path": "return_path"}


def attempt(form: forms.Form, work: Callable[[], Read]) -> Read | None:
    """Do what a valid form asks; a refusal becomes an error of its field."""
    try:
        return work()
    except ApiError as refusal:
        for one in refusal.errors or ():
            field = FIELD_OF_API.get(one.field, one.field)
            form.add_error(field if field in form.fields else None, _sentence(one.message))
        if not refusal.errors:
            form.add_error(None, refusal.message)
        return None


class AddForm(forms.Form):
    name = forms.CharField(
        max_length=253,
        label="Domain",
        widget=forms.TextInput(attrs={**PLAIN_TEXT, "placeholder": "mail.example.com"}),
        help_text="The part after the @ of your senders. A subdomain, such as mail.example.com, "
        "keeps its reputation apart from your other mail.",
    )
    return_path = forms.CharField(
        max_length=63,
        label="Return path",
        initial=DEFAULT_RETURN_PATH,
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        help_text="One label below the domain. Bounces come back there.",
    )

    def body(self) -> dict[str, Any]:
        """As the API takes it."""
        given = self.cleaned_data
        return {"name": given["name"], "custom_return_path": given["return_path"]}


class SettingsForm(forms.Form):
    tracking_subdomain = forms.CharField(
        max_length=63,
        required=False,
        label="Tracking subdomain",
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        help_text="One label, such as links: tracked links then carry your own name. It needs a "
        "CNAME record.",
    )
    open_tracking = forms.BooleanField(required=False, label="Count opens")
    click_tracking = forms.BooleanField(required=False, label="Count clicks")
    enforces_tls = forms.BooleanField(
        required=False,
        label="Deliver only over TLS",
        help_text="A destination without TLS then gets nothing, and the message fails.",
    )

    def body(self) -> dict[str, Any]:
        given = self.cleaned_data
        return {
            "tracking_subdomain": given["tracking_subdomain"],
            "open_tracking": given["open_tracking"],
            "click_tracking": given["click_tracking"],
            "tls": "enforced" if given["enforces_tls"] else "opportunistic",
        }


class RotateForm(forms.Form):
    selector = forms.CharField(
        max_length=SELECTOR_LIMIT,
        required=False,
        widget=forms.TextInput(attrs=PLAIN_TEXT),
        help_text="Left empty, we choose one. It names the RSA key, or the key that you bring.",
    )
    private_key = forms.CharField(
        required=False,
        label="A private key of your own",
        widget=forms.Textarea(attrs={"rows": 5, **PLAIN_TEXT}),
        help_text="PEM without a passphrase: RSA of 2048 to 4096 bits, or Ed25519. Left empty, we "
        "make the keys. Stored encrypted, and shown to nobody.",
    )


class RemoveForm(forms.Form):
    typed_name = forms.CharField(
        label="Type the domain's name to remove it", widget=forms.TextInput(attrs=PLAIN_TEXT)
    )

    def __init__(self, *args: Any, domain: Domain, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.domain = domain

    def clean_typed_name(self) -> str:
        typed = str(self.cleaned_data["typed_name"]).strip().lower()
        if typed not in (self.domain.name, self.domain.shown_name):
            raise forms.ValidationError(f"This is not the name. It is “{self.domain.name}”.")
        return typed


class SenderForm(forms.Form):
    name = forms.CharField(
        max_length=256,
        required=False,
        label="Name",
        help_text="What people see before the address, such as “Hive Support”.",
    )
    email = forms.CharField(
        max_length=254,
        label="Address",
        widget=forms.EmailInput(),
        help_text="At a verified domain of this account.",
    )
    reply_to = forms.CharField(
        max_length=254,
        required=False,
        label="Reply to",
        widget=forms.EmailInput(),
        help_text="Where answers go, if not to the address.",
    )


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:]
