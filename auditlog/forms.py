from typing import Any

from django import forms

from auditlog import filters
from auditlog.audit import events
from auditlog.entries import OUTCOMES
from auditlog.streamed import Fields, Kind
from queensmtp.errors import ApiError

DATE = {"type": "date"}


class FilterForm(forms.Form):
    """The log's filters as form controls. The reading of them is that of the API."""

    since = forms.CharField(required=False, label="From", widget=forms.DateInput(attrs=DATE))
    until = forms.CharField(required=False, label="To", widget=forms.DateInput(attrs=DATE))
    event = forms.ChoiceField(required=False, choices=[])
    key_id = forms.CharField(
        required=False, label="Key id", widget=forms.TextInput(attrs={"spellcheck": "false"})
    )
    actor = forms.CharField(required=False, label="Actor id")
    ip = forms.CharField(required=False, label="Address or range")
    target = forms.CharField(required=False, label="Target id")
    q = forms.CharField(required=False, label="Words of the target")
    request_id = forms.CharField(required=False, label="Request id")
    label = forms.CharField(
        required=False, label="Label", widget=forms.TextInput(attrs={"placeholder": "name:value"})
    )
    outcome = forms.ChoiceField(
        required=False, choices=[("", "All outcomes"), *((one, one) for one in OUTCOMES)]
    )
    reads = forms.BooleanField(
        required=False,
        label="Ordinary reads too",
        widget=forms.CheckboxInput(attrs={"value": "true"}),
    )

    def __init__(self, query: dict[str, list[str]]) -> None:
        # `from` and `to` are the names in the URL, which the API shares.
        self.query = {name: values for name, values in query.items() if any(values)}
        data: dict[str, Any] = {name: values[0] for name, values in self.query.items()}
        super().__init__(data)
        grouped: dict[str, list[tuple[str, str]]] = {}
        for name in events():
            subject = name.partition(".")[0]
            grouped.setdefault(subject, [(f"{subject}.*", f"{subject}: all")]).append((name, name))
        choices: list[Any] = [("", "All events"), *grouped.items()]
        self.fields["event"].choices = choices  # type: ignore[attr-defined]

    def add_prefix(self, field_name: str) -> str:
        return {"since": "from", "until": "to"}.get(field_name, field_name)

    def read(self) -> filters.Filters | None:
        """What to look for; None when the query cannot be read, and then the form says why."""
        try:
            return filters.read(self.query)
        except ApiError as refusal:
            self.full_clean()
            for problem in refusal.errors:
                name = {"from": "since", "to": "until"}.get(problem.field, problem.field)
                where = name if name in self.fields else None
                self.add_error(where, f"{problem.message[:1].upper()}{problem.message[1:]}")
            return None


class SaveViewForm(forms.Form):
    name = forms.CharField(max_length=80, label="Name of this view")
    is_shared = forms.BooleanField(required=False, label="Share it with the account")
    query = forms.CharField(required=False, widget=forms.HiddenInput())


class ExportForm(forms.Form):
    search = forms.CharField(
        required=False,
        label="What to export",
        help_text="As in the search box, such as event:api_key.* after:2026-11-01. Empty: every "
        "entry but ordinary reads; with reads:true those too.",
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    format = forms.ChoiceField(
        choices=[("jsonl", "JSON Lines (exact)"), ("csv", "CSV (for spreadsheets)")]
    )
    proofs = forms.BooleanField(
        required=False,
        initial=True,
        label="With a proof for each entry",
        help_text="So that anybody can check the file offline. It makes the file larger.",
    )


class DaysForm(forms.Form):
    days = forms.IntegerField(label="Keep entries for days", min_value=1)


class ErasureForm(forms.Form):
    person = forms.CharField(
        label="Whose data",
        help_text="As in the search box: actor: or target: with an id, ip: with an address, or "
        "words of a target's name, such as an e-mail address.",
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    understood = forms.BooleanField(
        label="I know that this cannot be undone. Event, time and proof stay."
    )


class StreamForm(forms.Form):
    kind = forms.ChoiceField(label="By", choices=Kind.choices)
    address = forms.CharField(
        label="Where to",
        help_text="HTTPS: a URL, which gets lines of JSON by POST. Syslog: host:port, such as "
        "siem.example:6514.",
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    names = forms.ChoiceField(label="Field names", choices=Fields.choices)
    authorization = forms.CharField(
        required=False,
        max_length=2000,
        label="Authorization header",
        help_text="HTTPS only, such as Bearer and a token. It is kept encrypted and never shown.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )
    from_now_on = forms.BooleanField(
        required=False,
        initial=True,
        label="Only what is recorded from now on",
        help_text="Otherwise everything that is kept is sent first.",
    )
