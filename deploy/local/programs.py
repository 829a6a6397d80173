"""Every process of `make up` beside Postgres and Valkey, one line each. Add a process here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import MappingProxyType

from deploy.local.certificates import LocalTls
from deploy.local.checkout import Checkout
from deploy.local.environment import of_https, of_sealer
from deploy.local.ports import HOST, Port, Ports

WEB_PROCESSES = 2
# Requests whose bodies are still on their way cost a process nothing but their sockets.
WAITING_REQUESTS = 4_096
WORKER_THREADS = 4
# The migration has just run Django's system checks; four more runs would delay the start.
NOTHING: Mapping[str, str] = MappingProxyType({})
CHECKED = {"CELERY_SKIP_CHECKS": "true"}


class Start(Enum):
    """When a process is started: what looks into its tables at once must wait for them."""

    AT_ONCE = auto()
    AFTER_MIGRATION = auto()
    AFTER_FIRST_MESSAGE = auto()


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    kind: str = "web"
    ports: tuple[Port, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    start: Start = Start.AT_ONCE


def all_programs(
    checkout: Checkout, ports: Ports, tls: LocalTls, environ: Mapping[str, str]
) -> list[Program]:
    sealer = of_sealer(checkout, environ)
    manage = (str(checkout.python), str(checkout.root / "manage.py"))
    return [
        Program(
            "web",
            granian(checkout, ports, tls),
            ports=(ports.https,),
            environment=of_https(checkout, environ),
        ),
        Program("inbox", (*manage, "inbox"), ports=(ports.inbox,)),
        # The worker role reads the public keys of every account.
        Program("dns", (*manage, "demo_dns"), "worker", ports=(ports.dns,)),
        Program("receiver", (*manage, "demo_receiver"), ports=(ports.receiver,)),
        # Reports are of every account.
        Program(
            "bounces",
            (*manage, "bounces"),
            "worker",
            ports=(ports.bounces,),
        ),
        Program("smtpd", (*manage, "smtpd"), ports=submission_ports(ports, environ)),
        celery("worker-send", checkout, worker("send")),
        celery("worker-webhooks", checkout, worker("webhooks")),
        celery("worker-audit", checkout, worker("audit"), environment=sealer),
        celery("worker-records", checkout, worker("records")),
        celery("beat", checkout, beat(checkout), start=Start.AFTER_FIRST_MESSAGE),
    ]


def submission_ports(ports: Ports, environ: Mapping[str, str]) -> tuple[Port, ...]:
    has_starttls = environ.get("SMTP_STARTTLS", "true").lower() in ("true", "1", "yes", "on")
    return (ports.smtp_tls, ports.smtp_starttls) if has_starttls else (ports.smtp_tls,)


def celery(
    name: str,
    checkout: Checkout,
    arguments: tuple[str, ...],
    *,
    environment: Mapping[str, str] = NOTHING,
    start: Start = Start.AFTER_MIGRATION,
) -> Program:
    return Program(
        name,
        (str(checkout.python), "-m", "celery", "-A", "queensmtp", *arguments),
        kind="worker",
        environment={**CHECKED, **environment},
        start=start,
    )


def granian(checkout: Checkout, ports: Ports, tls: LocalTls) -> tuple[str, ...]:
    return (
        *(str(checkout.python), "-m", "granian", "--interface", "asginl"),
        *("--host", HOST, "--port", str(ports.https.number)),
        *("--workers", str(WEB_PROCESSES), "--backpressure", str(WAITING_REQUESTS)),
        *("--http", "auto", "--no-ws", "--no-access-log", "--workers-kill-timeout", "5"),
        *("--ssl-certificate", str(tls.certificate), "--ssl-keyfile", str(tls.key)),
        *("--ssl-protocol-min", "tls1.2"),
        *("--static-path-route", "/static"),
        *("--static-path-mount", str(checkout.var / "static")),
        "queensmtp.asgi:application",
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
