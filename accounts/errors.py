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


class NoMember(AccountsError):
    """Somebody else removed them a moment ago."""

    message = "This person is not a member of the account any more."


class MayNotChange(AccountsError):
    """Whoever asks has lost the right since the page was opened."""

    message = "You may not change members any more. Ask an owner or admin."


class OwnersOnly(AccountsError):
    """Only an owner makes or unmakes owners."""

    message = "Only an owner can make or unmake owners."


class MoreThanOwn(AccountsError):
    """Nobody gives a role that may do more than their own."""

    message = "You can only give roles that may do no more than yours."


class AlreadyInvited(AccountsError):
    """An address has one invitation at a time."""

    message = "This address is invited already. Withdraw that invitation first."


class TooManyInvitations(AccountsError):
    """Invitations are mail to strangers, so an account sends only so many."""

    message = "This account has sent as many invitations today as it may. Try again tomorrow."


class InvitationEnded(AccountsError):
    """It was used, withdrawn or too old, or who sent it may no longer invite."""

    message = "This invitation does not stand any more. Ask for a new one."


class NotInvited(AccountsError):
    """An invitation is for one address."""

    message = "This invitation is for another address."


class HasSignIn(AccountsError):
    """The invited address has a sign-in, and only that one may accept."""

    message = "This address has a sign-in already. Sign in to accept."


class RightRefused(PermissionDenied):
    """A signed-in person asked for a page that their role does not open."""

    def __init__(self, right: Right) -> None:
        self.right = right
        names = ", ".join(role.value for role in roles_with(right))
        super().__init__(f"This needs the right {right.value}, which these roles have: {names}.")
