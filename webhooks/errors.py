from queensmtp.errors import Conflict


class TooManyEndpoints(Conflict):
    """The account has as many webhooks as it may have."""

    message = "This account has as many webhooks as it may have; remove one that is not needed."


class TooManySecrets(Conflict):
    """Every further signature would have to be tried by every receiver."""

    message = (
        "The signing secret was rotated so often that too many old ones still sign; "
        "rotate again when the first overlap has ended."
    )
