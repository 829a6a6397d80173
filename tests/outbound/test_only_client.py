"""W16: nothing else in the product may open a URL."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = {
    "aiohttp",
    "ftplib",
    "h2",
    "http.client",
    "httpcore",
    "httplib2",
    "httpx",
    "httpx2",
    "niquests",
    "pycurl",
    "requests",
    "telnetlib",
    "urllib.request",
    "urllib3",
    "webbrowser",
    "websocket",
    "websockets",
    "xmlrpc.client",
}
# A socket of one's own goes around every gate.
RAW = {"create_connection", "create_datagram_endpoint", "open_connection", "sock_connect"}
# They dial an MX or a relay, by rules of their own (`sending/transports.py`).
DIALS_SMTP = {ROOT / "sending" / "smtp_dialing.py"}
# `deploy` asks our own readiness address while starting; `sdks` and `benchmarks` are clients.
OUTSIDE_THE_PRODUCT = {".venv", "benchmarks", "deploy", "sdks", "tests", "var"}
THE_CLIENT = ROOT / "queensmtp" / "outbound_client.py"


def product_files() -> Iterator[Path]:
    for path in ROOT.rglob("*.py"):
        if path.relative_to(ROOT).parts[0] not in OUTSIDE_THE_PRODUCT and path != THE_CLIENT:
            yield path


def imported_by(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def forbidden_in(source: str) -> set[str]:
    names = set(imported_by(source))
    return {
        forbidden
        for forbidden in FORBIDDEN
        if any(name == forbidden or name.startswith(forbidden + ".") for name in names)
    }


def test_no_other_http_client_is_imported() -> None:
    found = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in product_files()
        if (names := forbidden_in(path.read_text()))
    }
    assert not found, f"Use queensmtp.outbound, which refuses internal addresses: {found}"


def raw_sockets_in(source: str) -> set[str]:
    names = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    return names & RAW


def test_no_connection_is_made_by_hand() -> None:
    found = {
        str(path.relative_to(ROOT)): sorted(names)
        for path in product_files()
        if path not in DIALS_SMTP and (names := raw_sockets_in(path.read_text()))
    }
    assert not found, f"Use queensmtp.outbound, which refuses internal addresses: {found}"


def test_the_rule_sees_a_connection_made_by_hand() -> None:
    assert raw_sockets_in("import socket\nsocket.create_connection(('10.0.0.1', 80))")
    assert raw_sockets_in("from asyncio import open_connection as o\nawait_ = open_connection")


@pytest.mark.parametrize(
    "source",
    [
        "import requests",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "def f():\n    import httpx as h",
        "from aiohttp.web import Application",
        "import http.client",
        "from xmlrpc.client import ServerProxy",
    ],
)
def test_the_rule_sees_every_way_to_import(source: str) -> None:
    assert forbidden_in(source)


def test_the_rule_lets_the_parser_pass() -> None:
    assert not forbidden_in("from urllib.parse import urlsplit\nimport http")
