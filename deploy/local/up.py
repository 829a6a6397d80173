"""`make up`: start the platform, prove it with one real message, and stay until told to stop."""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local import certificates, children, environment, secret_files, servers, stamps
from deploy.local.certificates import LocalTls
from deploy.local.checkout import Checkout
from deploy.local.children import MARK, Child, launch
from deploy.local.environment import Addresses
from deploy.local.errors import StepFailed
from deploy.local.logs import last_lines
from deploy.local.ports import Ports, read_ports, refuse_taken
from deploy.local.programs import Program, Start, all_programs
from deploy.local.run_lock import Holder, RunLock
from deploy.local.stamps import Stamp
from deploy.local.stop_signals import raise_on_stop_signals
from deploy.local.supervisor import Supervisor

TICK_SECONDS = 0.1
# An exit code of the demo that no uncaught exception has.
MESSAGE_DID_NOT_ARRIVE = 3
LAST_LINE = "Stop      "


def up(checkout: Checkout, environ: Mapping[str, str], *, say: Callable[[str], None]) -> None:
    ports = read_ports(environ)
    with RunLock(checkout.lock_file) as lock, raise_on_stop_signals() as ignore_further:
        swept = children.sweep(checkout.fingerprint)
        if swept:
            say(f"ended {len(swept)} processes that an earlier run left behind")
        tls = certificates.ensure(checkout.tls)
        secret_files.ensure(checkout.secrets)
        programs = all_programs(checkout, ports, tls, environ)
        refuse_taken(port for program in programs for port in program.ports)
        supervisor = Supervisor(say=say)
        try:
            platform = Platform(checkout, ports, tls, environ, supervisor, say)
            platform.start_servers(lock)
            platform.migrate(programs)
            platform.send_first_message(programs)
            platform.greet()
            platform.watch()
        except KeyboardInterrupt:
            say("stopping …")
        finally:
            ignore_further()
            supervisor.stop(last=servers.STOPPED_LAST)
            children.sweep(checkout.fingerprint)
            servers.leave_no_socket_folder(checkout, environ)
            say("everything is stopped")


class Platform:
    """The steps of one run, in the order in which they are called."""

    def __init__(
        self,
        checkout: Checkout,
        ports: Ports,
        tls: LocalTls,
        environ: Mapping[str, str],
        supervisor: Supervisor,
        say: Callable[[str], None],
    ) -> None:
        self._checkout = checkout
        self._ports = ports
        self._tls = tls
        self._environ = environ
        self._supervisor = supervisor
        self._say = say
        self._shared: dict[str, str] = {}
        self._addresses: Addresses

    @property
    def console(self) -> str:
        return f"https://localhost:{self._ports.https.number}"

    def start_servers(self, lock: RunLock) -> None:
        with self._timed("Postgres and Valkey answer"):
            self._addresses = servers.start(self._checkout, self._environ, self._supervisor)
        self._shared = {
            **environment.shared(
                self._checkout, self._ports, self._tls, self._addresses, self._environ
            ),
            "PATH": environment.search_path(self._checkout, self._environ),
            MARK: self._checkout.fingerprint,
        }
        lock.tell(holder_of("make up", self.console, self._addresses))

    def migrate(self, programs: Sequence[Program]) -> None:
        """Starting Python costs most of the time, so whatever can overlaps the preparation."""
        for folder in ("beat", "inbox", "static"):
            (self._checkout.var / folder).mkdir(mode=0o700, exist_ok=True)
        with self._timed("the database is migrated"):
            migrations = stamps.of_migrations(self._checkout, self._addresses.cluster)
            static_files = stamps.of_static_files(self._checkout)
            steps = [
                *self._unless(migrations, "migrate", "owner"),
                *self._unless(static_files, "collectstatic", "web", "--no-input"),
            ]
            self._start(programs, Start.AT_ONCE)
            self._finish(*(child for _, child in steps))
            for stamp, _ in steps:
                stamp.write()

    def send_first_message(self, programs: Sequence[Program]) -> None:
        """Its proof lines go to the screen. A failure is told; the platform stays up to look at."""
        ports = [str(port.number) for program in programs for port in program.ports]
        demo = self._launch(
            "demo",
            "web",
            [
                *(str(self._checkout.python), "-m", "deploy.local.demo"),
                *("--demo-env", str(self._checkout.demo_env), "--wait-for", *ports),
            ],
        )
        self._start(programs, Start.AFTER_MIGRATION)
        try:
            self._finish(demo)
        except StepFailed:
            if demo.exit_code() != MESSAGE_DID_NOT_ARRIVE:
                raise
            self._say("the first message did not arrive")
        self._start(programs, Start.AFTER_FIRST_MESSAGE)

    def greet(self) -> None:
        demo_env = self._checkout.demo_env
        for line in greeting(self.console, demo_env, read_exports(demo_env)):
            self._say(line)

    def watch(self) -> None:
        while True:
            self._supervisor.tick()
            time.sleep(TICK_SECONDS)

    def _unless(
        self, stamp: Stamp, command: str, kind: str, *arguments: str
    ) -> list[tuple[Stamp, Child]]:
        if stamp.is_current():
            return []
        manage = [str(self._checkout.python), str(self._checkout.root / "manage.py"), command]
        quietly = [*manage, *arguments, "--verbosity", "0"]
        return [(stamp, self._launch(command, kind, quietly, log=self._log_of(command)))]

    def _start(self, programs: Sequence[Program], moment: Start) -> None:
        for program in programs:
            if program.start is moment:
                self._supervise(program)

    def _supervise(self, program: Program) -> None:
        env = self._environment(program.kind, program.environment)
        log = self._log_of(program.name)
        self._supervisor.add(
            program.name,
            lambda: launch(
                program.name, program.command, env=env, cwd=self._checkout.root, log=log
            ),
            log=log,
        )

    def _launch(
        self, name: str, kind: str, command: Sequence[str], *, log: Path | None = None
    ) -> Child:
        env = self._environment(kind, {})
        return launch(name, command, env=env, cwd=self._checkout.root, log=log)

    def _environment(self, kind: str, further: Mapping[str, str]) -> dict[str, str]:
        own = environment.of_process(kind, self._checkout, self._addresses, self._environ)
        return {**self._shared, **own, **further}

    def _finish(self, *steps: Child) -> None:
        try:
            while any(step.exit_code() is None for step in steps):
                self._supervisor.tick()
                time.sleep(TICK_SECONDS / 4)
        finally:
            children.stop(steps, grace_seconds=2)
        for step in steps:
            if step.exit_code():
                log = self._log_of(step.name)
                told = "".join(f"\n      {line}" for line in last_lines(log, 5))
                raise StepFailed(
                    f"{step.name} failed; look at {log if told else 'the lines above'}{told}"
                )

    def _log_of(self, name: str) -> Path:
        return self._checkout.logs / f"{name}.log"

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._say(f"{what:<34}{time.monotonic() - began:5.1f} s")


def holder_of(command: str, address: str, addresses: Addresses) -> Holder:
    return Holder(
        pid=os.getpid(),
        command=command,
        address=address,
        environment={
            "DATABASE_URL": addresses.app,
            "DATABASE_WORKER_URL": addresses.worker,
            "DATABASE_OWNER_URL": addresses.owner,
            "DATABASE_ADMIN_URL": addresses.superuser,
            "REDIS_URL": addresses.redis,
        },
    )


def read_exports(path: Path) -> dict[str, str]:
    """The variables of a file that is meant to be sourced by a shell."""
    if not path.exists():
        return {}
    words = shlex.split(path.read_text(), comments=True)
    return dict(word.split("=", 1) for word in words if "=" in word)


def greeting(console: str, demo_env: Path, demo: Mapping[str, str]) -> list[str]:
    return [
        "",
        f"Console   {demo.get('QUEENSMTP_CONSOLE_URL', console)}",
        f"          sign in as {demo.get('QUEENSMTP_CONSOLE_EMAIL', '?')} "
        f"with {demo.get('QUEENSMTP_CONSOLE_PASSWORD', '?')}",
        "Send      paste this in another terminal:",
        "",
        curl_line(demo_env),
        "",
        f"Mail      lands in {demo.get('QUEENSMTP_INBOX_DIR', '?')}",
        f"{LAST_LINE}Ctrl-C here, or `make down` in another terminal",
    ]


def curl_line(demo_env: Path) -> str:
    return " ".join(
        [
            f". {shlex.quote(str(demo_env))} &&",
            'curl --cacert "$QUEENSMTP_CA" -H "Authorization: Bearer $QUEENSMTP_API_KEY"',
            "-H 'Content-Type: application/json'",
            """-d '{"from":"'"$QUEENSMTP_FROM"'","to":"someone@example.com",""",
            """"subject":"Hello","text":"Hi"}' "$QUEENSMTP_URL/emails\"""",
        ]
    )
