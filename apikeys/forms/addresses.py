"""An allowlist as people type it."""

from typing import Any

from django import forms

from apikeys import allowlist
from apikeys.forms.keys import lines


class AddressesForm(forms.Form):
    allowed_cidrs = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        required=False,
        label="Allowed addresses",
        help_text="Addresses or ranges such as 203.0.113.0/24 or 2001:db8::/48, one per line. "
        "Left empty, the key works from everywhere.",
    )
    allow_wide_cidrs = forms.BooleanField(
        required=False,
        label="Take ranges wider than /8 (IPv4) or /32 (IPv6); I mean it",
    )

    # None is no restriction at all.
    ranges: list[str] | None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        allow_wide = bool(cleaned["allow_wide_cidrs"])
        ranges, problems = allowlist.read(lines(cleaned["allowed_cidrs"]), allow_wide=allow_wide)
        for problem in problems:
            self.add_error("allowed_cidrs", problem.message[:1].upper() + problem.message[1:])
        self.ranges = ranges or None
        return cleaned
