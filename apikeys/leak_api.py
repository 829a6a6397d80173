import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from rest_framework.response import Response

from apikeys import github_reports, leaks, tokens
from apikeys.errors import UnsignedReport
from apikeys.leaks import SOURCE_LIMIT, URL_LIMIT, Sighting
from queensmtp import json_body, ratelimit
from queensmtp.api import ApiView
from queensmtp.client_address import counted_as
from queensmtp.errors import (
    FieldError,
    MalformedRequest,
    PayloadTooLarge,
    RateLimited,
    ValidationFailed,
    refuse_field,
)
from queensmtp.ratelimit import Limit
from queensmtp.requests import ApiRequest
from queensmtp.scopes import PUBLIC

FIELDS = ("tokens", "source", "url")
TOKENS_MAXIMUM = 100
BODY_MAXIMUM, GITHUB_BODY_MAXIMUM = 64 * 1024, 16 * 1024 * 1024
REPORTS = Limit(requests=60, per_seconds=60, burst=60)
GITHUB_REPORTS = Limit(requests=600, per_seconds=60, burst=600)
# A revocation takes a few hundredths of a second more than a miss. No answer comes before this.
ANSWERED_AFTER_SECONDS = 0.2


class LeakedKeys(ApiView):
    """POST /v1/leaked-keys: anyone may report a key, and learns nothing by it."""

    scope = PUBLIC
    takes_secrets = True
    authentication_classes = ()

    def post(self, request: ApiRequest) -> Response:
        _pass_rate_limit(request, "leaked-keys", REPORTS)
        _refuse_large(request, BODY_MAXIMUM)
        sightings = _sightings(request.data)
        with _paced():
            leaks.report(sightings, origin=request._request.origin)
        return _answer(len(sightings))


class GithubLeakedKeys(ApiView):
    """POST /v1/leaked-keys/github: GitHub's secret scanning, by its signature."""

    scope = PUBLIC
    takes_secrets = True
    authentication_classes = ()

    def post(self, request: ApiRequest) -> Response:
        _pass_rate_limit(request, "leaked-keys-github", GITHUB_REPORTS)
        _refuse_large(request, GITHUB_BODY_MAXIMUM)
        body = request._request.body
        if not github_reports.is_signed(
            body,
            key_identifier=request.headers.get("Github-Public-Key-Identifier", ""),
            signature=request.headers.get("Github-Public-Key-Signature", ""),
            keys=settings.GITHUB_SECRET_SCANNING_KEYS,
        ):
            raise UnsignedReport
        entries = json_body.read(body)
        if not isinstance(entries, list):
            raise MalformedRequest("The request body must be a JSON list.")
        found = [one for entry in entries if (one := github_reports.sighting(entry))]
        leaks.report(found, origin=request._request.origin)
        return _answer(len(entries))


def _answer(count: int) -> Response:
    return Response({"object": "leak_report", "received": count})


def _pass_rate_limit(request: ApiRequest, bucket: str, limit: Limit) -> None:
    verdict = ratelimit.take(f"{bucket}:{counted_as(request._request.origin.ip)}", limit)
    if not verdict.allowed:
        raise RateLimited(headers=verdict.headers())


def _refuse_large(request: ApiRequest, maximum: int) -> None:
    """Before the body is parsed."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > maximum:
        raise PayloadTooLarge(f"The report is larger than {maximum} bytes.")


def _sightings(body: Any) -> list[Sighting]:
    if not isinstance(body, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    _refuse_unknown(body)
    given = body.get("tokens")
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise refuse_field("tokens", "not_a_list", "give a list of keys.")
    if not 0 < len(given) <= TOKENS_MAXIMUM:
        raise refuse_field("tokens", "out_of_range", f"give 1 to {TOKENS_MAXIMUM} keys.")
    source, url = _text(body, "source", SOURCE_LIMIT), _text(body, "url", URL_LIMIT)
    return [Sighting(text, source, url) for text in given]


def _refuse_unknown(body: Mapping[str, Any]) -> None:
    unknown = [name for name in body if name not in FIELDS][:TOKENS_MAXIMUM]
    if unknown:
        message = f"there is no such field; use {', '.join(FIELDS)}."
        # A key may stand in the wrong place.
        names = [tokens.masked(name)[:100] for name in unknown]
        errors = [FieldError(name, "unknown", message) for name in names]
        raise ValidationFailed(f"`{names[0]}`: {message}", errors=errors)


def _text(body: Mapping[str, Any], name: str, limit: int) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        message = f"give a text of at most {limit} printable characters."
        raise refuse_field(name, "invalid", message)
    return value


@contextmanager
def _paced() -> Iterator[None]:
    """Take so long, whatever was found."""
    ends = time.monotonic() + ANSWERED_AFTER_SECONDS
    yield
    time.sleep(max(0.0, ends - time.monotonic()))
