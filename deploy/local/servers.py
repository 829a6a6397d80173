"""The embedded servers of one run, or the ones that the user's settings name."""

from collections.abc import Mapping
from contextlib import suppress

from deploy.local import places as placing
from deploy.local.checkout import Checkout
from deploy.local.children import MARK
from deploy.local.environment import Addresses, database_is_given
from deploy.local.postgres import SUPERUSER, Postgres
from deploy.local.supervisor import Supervisor
from deploy.local.valkey import Valkey

# Stopped after everything that uses them, in this order.
STOPPED_LAST = ("valkey", "postgres")


def start(checkout: Checkout, environ: Mapping[str, str], supervisor: Supervisor) -> Addresses:
    """Start what is not given, keep it watched, and say where everything is."""
    has_database = database_is_given(environ)
    redis = environ.get("REDIS_URL", "")
    if has_database and redis:
        return _given(environ, redis)
    checkout.var.mkdir(parents=True, exist_ok=True)
    places = placing.choose(checkout, environ)
    placing.make_folders(places)
    mark = {MARK: checkout.fingerprint}
    if not redis:
        valkey = Valkey(places, mark, checkout.logs / "valkey.log")
        supervisor.add("valkey", valkey.start, log=valkey.log)
        redis = valkey.url
    if has_database:
        return _given(environ, redis)
    postgres = Postgres(places, mark, checkout.logs / "postgres.log")
    supervisor.add("postgres", postgres.start, log=postgres.log)
    postgres.make_roles_and_database()
    return Addresses(
        app=postgres.url("app"),
        worker=postgres.url("worker"),
        owner=postgres.url("owner"),
        superuser=postgres.url(SUPERUSER),
        redis=redis,
        cluster=places.postgres_data,
    )


def leave_no_socket_folder(checkout: Checkout, environ: Mapping[str, str]) -> None:
    """Nothing outside the checkout stays after a clean stop."""
    for folder in placing.possible_socket_folders(checkout, environ):
        with suppress(OSError):  # Not there, not ours, or a server that was not ours to stop.
            folder.rmdir()


def _given(environ: Mapping[str, str], redis: str) -> Addresses:
    return Addresses(
        app=environ["DATABASE_URL"],
        worker=environ["DATABASE_WORKER_URL"],
        owner=environ["DATABASE_OWNER_URL"],
        superuser=environ.get("DATABASE_ADMIN_URL", ""),
        redis=redis,
    )
