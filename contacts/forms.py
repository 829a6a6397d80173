from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.utils import timezone

from contacts import csv_files
from contacts.actions import Wanted
from contacts.csv_files import FileRefused, Read
from contacts.models import REASON_LIMIT, Origin, SuppressionQuerySet
from queensmtp import addresses
from queensmtp.addresses import AddressRefused

EXACT = {"spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}
ADDED_AT_ONCE = 100


class SuppressionFilterForm(forms.Form):
    search = forms.CharField(
        required=False,
        max_length=320,
        label="Address or @domain",
        widget=forms.TextInput(attrs=EXACT),
    )
    origin = forms.ChoiceField(
        required=False, choices=[("", "Any origin"), *((one.value, one.label) for one in Origin)]
    )
    state = forms.ChoiceField(
        required=False,
        choices=[("", "Suppressed now"), ("removed", "Taken back or ended"), ("all", "All")],
    )

    def chips(self) -> list[tuple[str, str]]:
        return [(name, self.data[name]) for name in self.base_fields if self.data.get(name)]

    def narrow(self, rows: SuppressionQuerySet) -> SuppressionQuerySet:
        """What the filters describe; nothing when they cannot be read."""
        if not self.is_valid():
            return rows.none()
        given: dict[str, Any] = self.cleaned_data
        now = timezone.now()
        if given["state"] == "":
            rows = rows.standing(now)
        if given["state"] == "removed":
            rows = rows.ended(now)
        if given["origin"]:
            rows = rows.filter(origin=given["origin"])
        return self._found(rows, given["search"].strip()) if given["search"] else rows

    def _found(self, rows: SuppressionQuerySet, search: str) -> SuppressionQuerySet:
        try:
            if search.startswith("@"):
                return rows.filter(domain=addresses.parse_domain(search[1:]))
            return rows.filter(email=addresses.parse(search).key)
        except AddressRefused as refused:
            self.add_error("search", f"It {refused.message}.")
            return rows.none()


class AddForm(forms.Form):
    emails = forms.CharField(
        label="Addresses",
        help_text=f"One a line, at most {ADDED_AT_ONCE}. For more, import a file.",
        max_length=40_000,
        widget=forms.Textarea(attrs={**EXACT, "rows": 4}),
    )
    reason = forms.CharField(
        required=False, max_length=REASON_LIMIT, help_text="For whoever looks here later."
    )
    until = forms.DateField(
        required=False,
        label="Last day",
        help_text="It ends after this day, at midnight UTC. Left empty, it stays.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )

    def clean_emails(self) -> list[str]:
        lines = [line.strip() for line in self.cleaned_data["emails"].splitlines() if line.strip()]
        if len(lines) > ADDED_AT_ONCE:
            raise forms.ValidationError(f"Give at most {ADDED_AT_ONCE}.")
        keys, problems = [], []
        for line in lines:
            try:
                keys.append(addresses.parse(line).key)
            except AddressRefused as refused:
                problems.append(f"{line[:80]} {refused.message}.")
        if problems:
            raise forms.ValidationError(problems)
        return keys

    def clean_until(self) -> datetime | None:
        day = self.cleaned_data["until"]
        if day is None:
            return None
        end = datetime.combine(day, time.max, tzinfo=UTC)
        if end <= timezone.now() or day.year >= 3000:
            raise forms.ValidationError("Give a day ahead.")
        return end

    def wanted(self) -> list[Wanted]:
        given = self.cleaned_data
        return [
            Wanted(email, Origin.MANUAL, given["reason"], expires_at=given["until"])
            for email in given["emails"]
        ]


class RemoveForm(forms.Form):
    note = forms.CharField(
        max_length=REASON_LIMIT,
        label="Why may mail go there again?",
        help_text="It is kept here and in the audit log, with your name.",
    )


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="UTF-8, with a column “email”, or one address a line. “origin”, “reason” and"
        " “expires_at” are read too, as the export writes them. At most"
        f" {csv_files.ROWS_AT_MOST:,} rows and 5 MB.",
        widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}),
    )

    def clean_file(self) -> Read:
        file: Any = self.cleaned_data["file"]
        try:
            found = csv_files.read(file.read(csv_files.BYTES_AT_MOST + 1), now=timezone.now())
        except FileRefused as refused:
            raise forms.ValidationError(str(refused)) from None
        if not found.wanted:
            problems = found.lines() or ["The file holds no address."]
            raise forms.ValidationError(problems)
        return found
