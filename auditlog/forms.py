from typing import Any

from django import forms

from auditlog import filters
from auditlog.audit import events
from auditlog.entries import OUTCOMES
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
