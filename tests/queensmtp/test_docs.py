import re
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import pytest
from django.test import Client

from queensmtp.errors import DOCS_URL, NotFound

pytestmark = pytest.mark.django_db
NAMES = [
    str(path.relative_to("docs").with_suffix("")) for path in sorted(Path("docs").rglob("*.md"))
]


@pytest.mark.parametrize("name", NAMES)
def test_every_page_is_served(client: Client, name: str) -> None:
    response = client.get(f"/docs/{name}")

    assert response.status_code == 200
    assert b"<h1" in response.content
    assert client.get(f"/docs/{name}.md").status_code == 200


@pytest.mark.parametrize("name", ["nothing", "../README", "..%2fmanage", "adr"])
def test_nothing_else_is(client: Client, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_the_index_links_to_every_page(client: Client) -> None:
    found = set(re.findall(r'href="/docs/([^"]+)"', client.get("/docs").content.decode()))

    assert found >= set(NAMES)


def test_the_index_begins_with_what_is_looked_for_first(client: Client) -> None:
    page = client.get("/docs").content.decode()
    places = [page.index(f'href="/docs/{name}"') for name in ("sending", "flow", NAMES[0])]

    assert NAMES[0].startswith("adr/")
    assert places == sorted(places)


@pytest.mark.parametrize("name", NAMES)
def test_links_between_pages_lead_somewhere_in_the_browser_too(client: Client, name: str) -> None:
    address = f"/docs/{name}"
    links = re.findall(r'href="([^"]+)"', client.get(address).content.decode())
    within = {urldefrag(urljoin(address, link)).url for link in links if "://" not in link}

    dead = [path for path in within if "static" not in path and not is_served(client, path)]
    assert not dead


def is_served(client: Client, path: str) -> bool:
    return client.get(path).status_code in (200, 302)


def test_the_address_in_an_error_leads_to_its_section(client: Client) -> None:
    path, _, anchor = f"{DOCS_URL}{NotFound.name}".partition("#")

    assert f'id="{anchor}"' in client.get(path).content.decode()
