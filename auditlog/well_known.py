"""The public keys under which the platform's logs stand, for whoever wants to check them."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from auditlog import log_keys
from auditlog.checkpoints import encoded
from queensmtp.api import json_response


@require_safe
def audit_log_keys(request: HttpRequest) -> HttpResponse:
    """Every key that signs or has signed: an old checkpoint stays under its old key for ever."""
    response = json_response(
        {
            "object": "audit_log_keys",
            # A log's name is `<host>/<account id>`.
            "host": settings.AUDIT_LOG_HOST,
            "keys": [
                {"algorithm": "ed25519", "public_key": encoded(key)}
                for key in log_keys.public_keys()
            ],
            "witnesses": _witnesses(),
        }
    )
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


def _witnesses() -> list[dict[str, Any]]:
    witness = log_keys.find_witness()
    return [{"name": witness.name, "key": witness.written()}] if witness else []
