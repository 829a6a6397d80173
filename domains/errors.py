"""The refusals about domains.

ValidationFailed
├── DomainExists        422 validation_error
├── SenderExists        422 validation_error
└── InvalidRegion       422 invalid_region
Conflict
└── RotationUnderWay    409 validation_error
"""

from queensmtp.errors import Conflict, FieldError, ValidationFailed


class DomainExists(ValidationFailed):
    """The account has this domain already; other accounts do not matter."""

    def __init__(self, name: str) -> None:
        message = f"your account has {name} already."
        super().__init__(f"`name`: {message}", errors=[FieldError("name", "exists", message)])


class SenderExists(ValidationFailed):
    """The account has an identity with this address already."""

    def __init__(self, email: str) -> None:
        message = f"your account has an identity with {email} already."
        super().__init__(f"`email`: {message}", errors=[FieldError("email", "exists", message)])


class InvalidRegion(ValidationFailed):
    """The region is none that clients know."""

    name = "invalid_region"


class RotationUnderWay(Conflict):
    """A rotation of the DKIM keys waits for DNS already."""

    message = "New DKIM keys wait for DNS already; publish them, or withdraw them first."
