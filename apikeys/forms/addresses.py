"""An allowlist as people type it, and from when on it holds."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from apikeys import allowlist
from apikeys.forms.editing import AS_IT_IS
from apikeys.forms.keys import in_form_words, lines, ranges_field, wide_field
from apikeys.models import ApiKey

NOW = "now"
LESSONS = {
    "1 day": timedelta(days=1),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
}


class AddressesForm(forms.Form):
    allowed_cidrs = ranges_field(rows=6)
    allow_wide_cidrs = wide_field()
    learning = forms.ChoiceField(
        label="From when does the list hold?",
        choices=[],
        widget=forms.RadioSelect,
        help_text="A key that learns is let in from everywhere. Its log says who would have been "
        "refused; when the time is over, the list holds by itself.",
    )

    # None is no restriction at all.
    ranges: list[str] | None

    def __init__(
        self, data: Any = None, *, key: ApiKey, initial: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data, initial={"learning": NOW, **(initial or {})})
        self.key = key
        choices = [(NOW, "At once"), *((days, f"After {days} of learning") for days in LESSONS)]
        if key.is_learning:
            choices.append((AS_IT_IS, "When the learning that is under way ends"))
            self.initial["learning"] = AS_IT_IS
        self.fields["learning"].choices = choices  # type: ignore[attr-defined]

    @property
    def changes(self) -> dict[str, Any]:
        """The columns that this form sets."""
        return {"allowed_cidrs": self.ranges, "learning_until": self.learning_until}

    @property
    def learning_until(self) -> datetime | None:
        chosen = self.cleaned_data["learning"]
        if chosen == AS_IT_IS:
            return self.key.learning_until
        return timezone.now() + LESSONS[chosen] if chosen in LESSONS else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        allow_wide = bool(cleaned["allow_wide_cidrs"])
        ranges, problems = allowlist.read(lines(cleaned["allowed_cidrs"]), allow_wide=allow_wide)
        for problem in problems:
            self.add_error("allowed_cidrs", in_form_words(problem))
        self.ranges = ranges or None
        return cleaned
