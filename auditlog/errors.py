"""What can go wrong in the log.

Conflict (409)
├── TooManyExports
└── AlreadyFinished

AuditLogError
├── SigningKeyMissing    this process must not seal
├── HistoryChanged       an account's tree is not what we signed
│   └── BrokenTree       hashes that must be there are not
└── HeadMoved            another sealer came first
"""

from uuid import UUID

from queensmtp.errors import Conflict


class TooManyExports(Conflict):
    """Each takes a worker's time and room on the disk."""

    message = "Five exports of this account are unfinished: wait for one, or cancel one."


class AlreadyFinished(Conflict):
    """What is finished cannot be stopped."""

    message = "This export is finished already."


class AuditLogError(Exception):
    """The log cannot be extended or proven."""


class SigningKeyMissing(AuditLogError):
    """Only the sealing process has the log's key, and this one was asked to seal without it."""

    def __init__(self) -> None:
        super().__init__(
            "AUDIT_SIGNING_KEY is not set, so nothing can be sealed: give it (or "
            "AUDIT_SIGNING_KEY_FILE) to the worker of queue `audit`, and to no other process."
        )


class HistoryChanged(AuditLogError):
    """What is stored of an account's tree contradicts the checkpoint that we signed last."""

    def __init__(self, account_id: UUID, reason: str) -> None:
        self.account_id = account_id
        self.reason = reason
        super().__init__(f"the log of account {account_id} was changed: {reason}")


class BrokenTree(HistoryChanged):
    """Leaves or tiles below the head's size are missing."""


class HeadMoved(AuditLogError):
    """A head changed between reading and writing it; nothing of this run is kept."""
