"""A key that somebody found, reduced at once to the id that names it."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms

from apikeys import tokens
from apikeys.tokens import Token
from queensmtp.ids import find_id

# What the console shows of a key, `qs_prod_7Kd…`, or the id within it.
PREFIX = re.compile(r"(?:qs_(?:dev|stag|prod)_)?([0-9A-Za-z]{12})(?:….{0,4})?")
LONGEST = 200


@dataclass(frozen=True, slots=True)
class Named:
    """Which key is meant, by its row's id or its public id; a token only proves that it is real."""

    key_id: UUID | None = None
    public_id: str = ""
    token: Token | None = None


class NeverShown(forms.TextInput):
    """Drawn empty, whatever was typed: what was pasted is never sent back."""

    def format_value(self, value: Any) -> None:
        return None


class TraceForm(forms.Form):
    key = forms.CharField(
        label="The key, or its id",
        max_length=LONGEST,
        widget=NeverShown(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
        ),
        help_text="Such as qs_prod_… in full, the part of it that the console shows, or the "
        "id from a key's page.",
    )

    named: Named

    def clean_key(self) -> str:
        text: str = self.cleaned_data["key"]
        named = _read(text)
        if named is None:
            raise forms.ValidationError(
                "This is no key of QueenSMTP and no id of one. A whole key has 54 letters and "
                "digits behind qs_prod_, qs_stag_ or qs_dev_, and a checksum finds slips."
            )
        self.named = named
        return ""


def _read(text: str) -> Named | None:
    pasted = text.strip().removeprefix("Bearer ").strip()
    token = tokens.parse(pasted)
    if token is not None:
        return Named(public_id=token.public_id, token=token)
    key_id = find_id(pasted)
    if key_id is not None:
        return Named(key_id=key_id)
    shown = PREFIX.fullmatch(pasted)
    return Named(public_id=shown[1]) if shown else None
