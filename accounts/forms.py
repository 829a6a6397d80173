from typing import Any
from zoneinfo import available_timezones

from allauth.account.forms import LoginForm
from django import forms

from accounts.context import THEMES
from accounts.models import User
from accounts.passwords import MAXIMUM_LENGTH


class SignInForm(LoginForm):  # type: ignore[misc]
    """allauth's form, with plain words and a bound on what is hashed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["login"].label = "E-mail"
        self.fields["password"] = forms.CharField(
            label="Password",
            max_length=MAXIMUM_LENGTH,
            strip=False,
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        )
        for field in self.fields.values():
            field.widget.attrs.pop("placeholder", None)


class ThemeForm(forms.Form):
    theme = forms.ChoiceField(choices=[(theme, theme.title()) for theme in THEMES])


class SwitchAccountForm(forms.Form):
    account = forms.UUIDField()


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # no generic at run time
    time_zone = forms.ChoiceField(
        choices=[(name, name.replace("_", " ")) for name in sorted(available_timezones())],
        help_text="Times in the console are shown in this zone. Exports are always in UTC.",
    )

    class Meta:
        model = User
        fields = ("name", "time_zone")
        widgets = {"name": forms.TextInput(attrs={"autocomplete": "name"})}
