"""Every process of `make up` beside Postgres and Valkey, one line each. Add a process here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.local.certificates import LocalTls
from deploy.local.checkout import Checkout
from deploy.local.ports import HOST, Port, Ports

WEB_PROCESSES = 2
# Each thread holds a database connection; granian alone would allow 256.
WEB_THREADS = 4
WORKER_THREADS = 4
# The migration has just run Django's system checks; four more runs would delay the start.
CHECKED = {"CELERY_SKIP_CHECKS": "true"}


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    kind: str = "web"
    ports: tuple[Port, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def all_programs(
    checkout: Checkout, ports: Ports, tls: LocalTls, *, sealer: Mapping[str, str]
) -> list[Program]:
    manage = (str(checkout.python), str(checkout.root / "manage.py"))
    celery = (str(checkout.python), "-m", "celery", "-A", "queensmtp")
    return [
        Program("web", granian(checkout, ports, tls), ports=(ports.https,)),
        Program("smtpd", (*manage, "smtpd"), ports=(ports.smtp_tls, ports.smtp_starttls)),
        Program("inbox", (*manage, "inbox"), ports=(ports.inbox,)),
        # The worker role reads the public keys of every account.
        Program("dns", (*manage, "demo_dns"), "worker", ports=(ports.dns,)),
        Program("receiver", (*manage, "demo_receiver"), ports=(ports.receiver,)),
        Program("worker-send", (*celery, *worker("send")), "worker", environment=CHECKED),
        Program("worker-webhooks", (*celery, *worker("webhooks")), "worker", environment=CHECKED),
        Program(
            "worker-audit",
            (*celery, *worker("audit")),
            "worker",
            environment={**CHECKED, **sealer},
        ),
        Program("beat", (*celery, *beat(checkout)), "worker", environment=CHECKED),
    ]


def granian(checkout: Checkout, ports: Ports, tls: LocalTls) -> tuple[str, ...]:
    return (
        *(str(checkout.python), "-m", "granian", "--interface", "wsgi"),
        *("--host", HOST, "--port", str(ports.https.number)),
        *("--workers", str(WEB_PROCESSES), "--blocking-threads", str(WEB_THREADS)),
        *("--http", "auto", "--no-ws", "--no-access-log", "--workers-kill-timeout", "5"),
        *("--ssl-certificate", str(tls.certificate), "--ssl-keyfile", str(tls.key)),
        *("--ssl-protocol-min", "tls1.2"),
        *("--static-path-route", "/static"),
        *("--static-path-mount", str(checkout.var / "static")),
        "queensmtp.wsgi:application",
    )


def worker(queue: str) -> tuple[str, ...]:
    return (
        *("worker", "-Q", queue, "-P", "threads", "-c", str(WORKER_THREADS)),
        # One broker, few workers: they have nothing to tell one another.
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        *("-n", f"{queue}@localhost", "--loglevel", "WARNING"),
    )


def beat(checkout: Checkout) -> tuple[str, ...]:
    schedule = str(checkout.var / "beat" / "schedule")
    return ("beat", "--schedule", schedule, "--pidfile", "", "--loglevel", "WARNING")
