from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError

# argon2 would gladly hash a megabyte; a limit far above any passphrase keeps each try cheap.
MAXIMUM_LENGTH = 256


class MaximumLengthValidator:
    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if len(password) > MAXIMUM_LENGTH:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        return f"Your password can have at most {MAXIMUM_LENGTH} characters."
