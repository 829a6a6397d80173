import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from dnslib.server import DNSHandler, DNSServer

from sending.demo_zone import DemoZone

HOST = "127.0.0.1"
# What a resolver takes by UDP without fragments; more is asked again by TCP.
UDP_BYTES = 1_232


class QuietLogger:
    """dnslib prints every packet unless it is given something that does not."""

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: None


class BoundedHandler(DNSHandler):
    udplen = UDP_BYTES


class Command(BaseCommand):
    help = "Serve the records of all domains by DNS on loopback. For the demo only."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        stopped = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopped.set())
        servers = start(settings.PORT_BASE + 53)
        stopped.wait()
        for server in servers:
            server.stop()


def start(port: int) -> list[DNSServer]:
    """Answer on UDP and TCP."""
    servers = [
        DNSServer(
            DemoZone(),
            address=HOST,
            port=port,
            tcp=is_tcp,
            handler=BoundedHandler,
            logger=QuietLogger(),
        )
        for is_tcp in (False, True)
    ]
    for server in servers:
        server.server.daemon_threads = True
        server.server.block_on_close = False
        server.start_thread()
    return servers
