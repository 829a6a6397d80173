from django.core.exceptions import PermissionDenied

from accounts.roles import Right, roles_with


class AccountsError(Exception):
    """A change to an account or its members that the rules refuse."""

    message = "This change is not possible."

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class LastOwner(AccountsError):
    """An account always has an owner."""

    message = "This is the last owner. Make someone else an owner first."


class AlreadyMember(AccountsError):
    """A person has at most one role in an account."""

    message = "This person is a member of the account already."


class OwnersOnly(AccountsError):
    """Only an owner makes or unmakes owners."""

    message = "Only an owner can make or unmake owners."


class RightRefused(PermissionDenied):
    """A signed-in person asked for a page that their role does not open."""

    def __init__(self, right: Right) -> None:
        self.right = right
        names = ", ".join(role.value for role in roles_with(right))
        super().__init__(f"This needs the right {right.value}, which these roles have: {names}.")
