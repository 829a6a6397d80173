from queensmtp.errors import ApiError, Conflict, Forbidden


class AboveCeiling(Forbidden):
    """A key asked for more than it has itself."""

    name = "insufficient_scope"
    message = (
        "A key cannot create, change, rotate or revoke a key that may do more than it may itself."
    )


class KeyIsDead(Conflict):
    """An expired or revoked key cannot be changed or rotated."""

    message = "This key is expired or revoked; create a new one instead."


class KeyRowChanged(Conflict):
    """The stored row is not the one that was sealed: nothing may be built upon it."""

    message = (
        "This key's row in the database was changed by something other than QueenSMTP, so the "
        "key is dead. Revoke it, create a new one, and look into who can write to the database."
    )


class AlreadyRotating(Conflict):
    """A key has one successor at most."""

    message = "This key was rotated before; rotate its successor, or end the overlap first."


class OwnKey(Forbidden):
    """No key edits its own limits, or ends itself."""

    name = "insufficient_scope"
    message = "A key cannot change or revoke itself; use another key, or the console."


class UnsignedReport(ApiError):
    """A leak report that carries no good signature of a key that we know."""

    name, status = "invalid_signature", 401
    message = "The signature is not one of a key that we know, over exactly this body."

    def __init__(self) -> None:
        # RFC 9110, section 15.5.2: a 401 names a way to authenticate.
        super().__init__(headers={"WWW-Authenticate": "Github-Public-Key-Signature"})
