"""Our server over TLS in a thread of the test, and what its foreign clients must know of it."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.server import TlsServer
from tests.certificates import Authority
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.keys import make_key

NODE = Path(__file__).parent / "node"
FROM = "Hive <hello@hive.example>"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("clients-ca"))


@pytest.fixture
def hive(transactional_db: None) -> Cast:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    return cast


@pytest.fixture
def token(hive: Cast) -> str:
    return make_key(hive.hive)[1]


@pytest.fixture
def api_url(
    hive: Cast, authority: Authority, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The base URL, as it is written into a client; `requests` trusts the server's authority."""
    server = TlsServer(*authority.issue("localhost", "127.0.0.1"))
    settings.CONSOLE_URL = server.url
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    thread = server.serve()
    yield f"{server.url}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run_node(authority: Authority) -> Callable[..., Any]:
    """Runs a script of tests/clients/node; its output is one JSON text."""

    def run(script: str, **environment: str) -> Any:
        done = subprocess.run(
            ["node", script],
            cwd=NODE,
            env={
                "PATH": os.environ["PATH"],
                "NODE_EXTRA_CA_CERTS": str(authority.ca_file),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
