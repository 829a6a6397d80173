"""A migrated database of a benchmark's own, on the same server, gone at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql

from queensmtp import configuration


@contextmanager
def database(name: str) -> Iterator[None]:
    """Make it, migrate it as `owner`, and work in it as `app`."""
    _as_admin("DROP DATABASE IF EXISTS {}", name)
    _as_admin("CREATE DATABASE {} OWNER owner", name)
    try:
        _connect(name, "DATABASE_OWNER_URL", {})
        call_command("migrate", verbosity=0)
        _connect(name, "DATABASE_URL", {"prepare_threshold": 5})
        yield
    finally:
        connections.close_all()
        _as_admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _connect(name: str, variable: str, options: dict[str, object]) -> None:
    settings = configuration.database(variable)
    connection.close()
    for part in ("USER", "PASSWORD", "HOST", "PORT"):
        connection.settings_dict[part] = settings[part]
    connection.settings_dict["NAME"] = name
    connection.settings_dict["OPTIONS"] = options


def _as_admin(statement: str, name: str) -> None:
    url = os.environ["DATABASE_ADMIN_URL"].replace("postgres://", "postgresql://", 1)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL(statement).format(sql.Identifier(name)))  # type: ignore[arg-type]
