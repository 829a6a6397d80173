"""What can keep the local platform from starting; each message says how to mend it."""


class LocalError(Exception):
    """A sentence for the person at the terminal. Nothing else is printed."""


class AlreadyRunning(LocalError):
    """Another supervisor holds this checkout."""


class PortTaken(LocalError):
    """A port of ours answers to somebody else."""


class ServerFailed(LocalError):
    """An embedded server ended before it was ready."""


class StepFailed(LocalError):
    """A command that prepares the platform ended with an error."""
