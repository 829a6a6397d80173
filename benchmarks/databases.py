"""A database of a benchmark's own, beside that of `make up`; the tests' way to take a role."""

import os

import psycopg
from django.core.management import call_command
from django.db import connection, connections
from psycopg import sql

from queensmtp import configuration


def create(name: str) -> None:
    """An empty, migrated database. Afterwards the connection works as `app`."""
    drop(name)
    ensure(name)


def ensure(name: str) -> None:
    """The same, but what is in the database already stays."""
    with _server() as server:
        if not server.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            create_it = sql.SQL("CREATE DATABASE {} OWNER owner")
            server.execute(create_it.format(sql.Identifier(name)))
    connect("DATABASE_OWNER_URL", name)
    call_command("migrate", verbosity=0)
    connect("DATABASE_ADMIN_URL", name)
    take_role("app")


def drop(name: str) -> None:
    connections.close_all()
    with _server() as server:
        server.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


def connect(variable: str, name: str) -> None:
    """Point Django's connection at the database, with the rights of one of the URLs."""
    connection.close()
    connection.settings_dict.update({**configuration.database(variable), "NAME": name})
    connection.settings_dict["OPTIONS"] = {"prepare_threshold": 5}


def take_role(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")


def _server() -> "psycopg.Connection[tuple[object, ...]]":
    url = os.environ["DATABASE_ADMIN_URL"].replace("postgres://", "postgresql://", 1)
    return psycopg.connect(url, autocommit=True)
