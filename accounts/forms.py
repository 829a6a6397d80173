from typing import Any
from zoneinfo import available_timezones

from allauth.account.forms import LoginForm
from django import forms
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from accounts.context import THEMES
from accounts.models import Invitation, Membership, User
from accounts.passwords import MAXIMUM_LENGTH
from accounts.roles import SUMMARIES, Role


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


class RoleForm(forms.Form):
    """Offers only the roles that the person in front of it may give."""

    role = forms.ChoiceField(label="Role", widget=forms.RadioSelect)

    def __init__(self, *args: Any, giver: Membership, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        role = self.fields["role"]
        assert isinstance(role, forms.ChoiceField)
        role.choices = [
            (one.value, f"{one.value.title()}: {SUMMARIES[one]}")
            for one in Role
            if giver.can_give(one)
        ]


class InviteForm(RoleForm):
    email = forms.EmailField(
        label="E-mail", max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    field_order = ("email", "role")

    def clean_email(self) -> str:
        email = str(self.cleaned_data["email"])
        if not email.isascii():
            raise ValidationError("Write the domain in its ASCII form (xn--…).")
        return email.lower()


class NewPersonForm(forms.Form):
    """The name and the password of somebody who was invited."""

    name = forms.CharField(
        max_length=120, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        max_length=MAXIMUM_LENGTH,
        strip=False,
        help_text="At least 15 characters. Several words are easy to keep in mind.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, invitation: Invitation, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invitation = invitation

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        person = User(email=self.invitation.email, name=cleaned.get("name", ""))
        try:
            validate_password(cleaned.get("password", ""), person)
        except ValidationError as refused:
            if "password" in cleaned:
                self.add_error("password", refused)
        return cleaned
