"""The fields of a key that is there, filled in with what it has."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from apikeys.forms.keys import CUSTOM, EXPIRY_CHOICES, PRESETS, SECONDS_A_DAY, KeyForm
from apikeys.models import ApiKey

AS_IT_IS = "as_it_is"
# Set on the page of the addresses.
ELSEWHERE = ("allowed_cidrs", "learning_until")
ENDS = ("expires_at", "rotate_every_seconds")


class EditForm(KeyForm):
    """The same fields for a key that is there. Its environment stays, and its addresses have a
    page of their own."""

    environment = None  # type: ignore[assignment]
    allowed_cidrs = None  # type: ignore[assignment]
    allow_wide_cidrs = None  # type: ignore[assignment]
    is_decoy = None  # type: ignore[assignment]
    expires = forms.ChoiceField(choices=[(AS_IT_IS, "As it is"), *EXPIRY_CHOICES], initial=AS_IT_IS)

    def __init__(self, data: Any = None, *, key: ApiKey) -> None:
        super().__init__(data, initial=_initial(key))

    def _expires_at(self, cleaned: Mapping[str, Any]) -> str | None:
        if cleaned["expires"] == AS_IT_IS:
            return None
        return super()._expires_at(cleaned)

    @property
    def _kept(self) -> tuple[str, ...]:
        """A schedule that is read anew would set its deadline anew."""
        return ENDS if self.cleaned_data["expires"] == AS_IT_IS else ()

    @property
    def changes(self) -> dict[str, Any]:
        """The columns that this form sets."""
        columns = self.rights.columns()
        for other in (*ELSEWHERE, *self._kept):
            del columns[other]
        about = {"name": self.cleaned_data["name"], "notes": self.cleaned_data["notes"]}
        return {**columns, **about, "labels": self.read_labels}


def _initial(key: ApiKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "preset": _preset_of(key.scopes),
        "scopes": key.scopes,
        "domains": "\n".join(key.domains or []),
        "allowed_recipients": "\n".join(key.allowed_recipients or []),
        "rotate_every_days": _days(key.rotate_every_seconds),
        "rate_requests": key.rate_requests,
        "rate_per_seconds": key.rate_per_seconds,
        "daily_quota": key.daily_quota,
        "labels": "\n".join(f"{name}: {value}" for name, value in key.labels.items()),
        "notes": key.notes,
    }


def _preset_of(scopes: Sequence[str]) -> str:
    held = set(scopes)
    return next((name for name, (_, preset) in PRESETS.items() if preset == held), CUSTOM)


def _days(seconds: int | None) -> int | None:
    return None if seconds is None else round(seconds / SECONDS_A_DAY)
