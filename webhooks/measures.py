"""What `/metrics` tells of webhooks."""

from queensmtp.measures import COUNTED_AT_MOST
from queensmtp.metrics import Values
from webhooks.models import Delivery, DeliveryState

PENDING = "queensmtp_webhook_deliveries_pending"
LIVE = (DeliveryState.PENDING, DeliveryState.SENDING)


def now_pending() -> Values:
    """Deliveries that have no final outcome."""
    return {(PENDING, ""): Delivery.objects.filter(state__in=LIVE)[:COUNTED_AT_MOST].count()}
