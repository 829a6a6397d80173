"""What `/metrics` tells of the audit log."""

from auditlog.models import Pending
from queensmtp.measures import COUNTED_AT_MOST
from queensmtp.metrics import Values

UNSEALED = "queensmtp_audit_entries_unsealed"


def now_unsealed() -> Values:
    """Entries that the sealer has not taken yet."""
    return {(UNSEALED, ""): Pending.objects.all()[:COUNTED_AT_MOST].count()}
