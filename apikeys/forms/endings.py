"""How a key comes to its end: replaced by a successor, or revoked."""

from typing import Any

from django import forms

from apikeys.models import ApiKey

CUSTOM = "custom"
OVERLAPS = {"0": "Now", "3600": "In 1 hour", "86400": "In 24 hours", "604800": "In 7 days"}
OVERLAP_CHOICES = [*OVERLAPS.items(), (CUSTOM, "After another time")]


class RotateForm(forms.Form):
    overlap = forms.ChoiceField(
        label="When does the old key end?",
        choices=OVERLAP_CHOICES,
        widget=forms.RadioSelect,
        initial="86400",
    )
    overlap_hours = forms.FloatField(
        label="Hours",
        required=False,
        min_value=0,
        max_value=720,
        help_text="At most 720 (30 days).",
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("overlap") == CUSTOM and cleaned.get("overlap_hours") is None:
            self.add_error("overlap_hours", "Give the hours.")
        return cleaned

    @property
    def overlap_seconds(self) -> int:
        chosen = self.cleaned_data["overlap"]
        return round(self.cleaned_data["overlap_hours"] * 3600) if chosen == CUSTOM else int(chosen)


class RevokeForm(forms.Form):
    typed_name = forms.CharField(
        label="Type the key's name to revoke it",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = forms.CharField(required=False, max_length=200, label="Reason")
    cancel_scheduled = forms.BooleanField(
        required=False,
        label="Cancel what it has scheduled, too",
        help_text="Mail that waits for its time is then never sent. Otherwise it leaves as "
        "planned. What waits in the queue already leaves either way.",
    )

    def __init__(self, *args: Any, key: ApiKey, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.key = key

    def clean_typed_name(self) -> str:
        typed: str = self.cleaned_data["typed_name"]
        if typed.strip() != self.key.name:
            raise forms.ValidationError(f"This is not the name. It is “{self.key.name}”.")
        return typed
