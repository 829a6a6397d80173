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


class EndpointIsDisabled(Conflict):
    """Nothing is sent to a disabled endpoint, not even again."""

    message = "This webhook is disabled; enable it first, then send again."


class TooManyListeners(Conflict):
    """Each listener keeps a copy of every event."""

    message = "This account has as many listeners as it may have; end one, or wait a minute."
