"""JSON in and out of DRF's views, whatever a request is labelled (wire contract 1.2, 11)."""

from typing import Any

import orjson
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from queensmtp import json_body


class StrictJsonParser(BaseParser):
    """Reads any body as JSON, whatever it is labelled (wire contract 11)."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return json_body.read(stream.read())


class JsonRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(self, data: Any, accepted_media_type: Any = None, context: Any = None) -> bytes:
        return orjson.dumps(data)


class AlwaysJson(BaseContentNegotiation):
    """Answers JSON to every `Accept`, since clients send all kinds."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type
