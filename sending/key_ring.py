"""The DKIM keys that a process has loaded: loading one costs sixty signatures."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable
from threading import Lock
from typing import Any
from uuid import UUID

from domains import actions as domains
from domains.dkim_keys import SigningKey
from domains.models import DkimKey
from queensmtp.crypto import CannotDecrypt

# A rotated key is taken up within this time.
KEPT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class KeyRing:
    """The loaded DKIM keys of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[UUID, tuple[float, list[SigningKey]]] = {}

    def of_domains(self, domain_ids: Iterable[UUID]) -> dict[UUID, list[SigningKey]]:
        """The signing keys of each domain, read together where they are not kept."""
        now, wanted = time.monotonic(), set(domain_ids)
        with self._lock:
            kept = {
                domain_id: keys
                for domain_id in wanted
                if domain_id in self._kept
                for until, keys in [self._kept[domain_id]]
                if now < until
            }
            missing = wanted - kept.keys()
            loaded = _load_keys(missing) if missing else {}
            for domain_id in missing:
                keys = loaded.get(domain_id, [])
                self._kept[domain_id] = (now + KEPT_SECONDS, keys)
                kept[domain_id] = keys
        return kept


def _load_keys(domain_ids: set[UUID]) -> dict[UUID, list[SigningKey]]:
    rows: Any = DkimKey.objects.signing().filter(domain_id__in=domain_ids)
    found: dict[UUID, list[SigningKey]] = defaultdict(list)
    for row in rows.select_related("domain").order_by("-algorithm"):
        try:
            found[row.domain_id].append(domains.load_key(row, domain_name=row.domain.name))
        except CannotDecrypt:
            # The domain signs with what is left, or waits; the others of the batch go on.
            logger.exception("dkim_key_does_not_open", extra={"dkim_key_id": str(row.pk)})
    return found
