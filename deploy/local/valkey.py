"""The embedded Valkey: append-only file under var/, reached over a unix socket and nothing else."""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

from deploy.local import process_table
from deploy.local.binaries import valkey_program
from deploy.local.children import Child, launch, wait_until
from deploy.local.errors import ServerFailed
from deploy.local.logs import last_lines
from deploy.local.places import Places

LONGEST_START_SECONDS = 30.0


@dataclass(frozen=True)
class Valkey:
    places: Places
    mark: dict[str, str]
    log: Path

    @property
    def url(self) -> str:
        return f"unix://{self.places.valkey_socket}"

    def start(self) -> Child:
        self.places.user.own(self.places.valkey_data)
        self._stop_orphan()
        child = self._launch()
        is_ready = wait_until(
            lambda: child.exit_code() is not None or self._answering_pid() == child.pid,
            seconds=LONGEST_START_SECONDS,
        )
        if child.exit_code() is not None or not is_ready:
            told = "\n  ".join(last_lines(self.log, 3))
            raise ServerFailed(f"Valkey did not start ({self.log}):\n  {told}")
        return child

    def _launch(self) -> Child:
        options = {
            "port": "0",
            "unixsocket": str(self.places.valkey_socket),
            "unixsocketperm": "700",
            "dir": str(self.places.valkey_data),
            "appendonly": "yes",
            "save": "",
            "daemonize": "no",
            "set-proc-title": "no",  # It would write over the mark by which orphans are found.
        }
        settings = [part for name, value in options.items() for part in (f"--{name}", value)]
        return launch(
            "valkey",
            [str(valkey_program(self.places)), *settings],
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **self.mark},
            cwd=self.places.valkey_data,
            log=self.log,
            user=self.places.user,
        )

    def _stop_orphan(self) -> None:
        """Two servers on one append-only file would ruin it."""
        pid = self._answering_pid()
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not process_table.is_running(pid), seconds=10)
        self.places.valkey_socket.unlink(missing_ok=True)

    def _answering_pid(self) -> int | None:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            try:
                client.connect(str(self.places.valkey_socket))
                client.sendall(b"INFO server\r\n")
                answer = client.recv(16384).decode(errors="replace")
            except OSError:
                return None
        for line in answer.splitlines():
            if line.startswith("process_id:"):
                return int(line.partition(":")[2])
        return None
