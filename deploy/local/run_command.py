"""Run a command with the embedded servers up: those of a running `make up`, else our own."""

import subprocess
from collections.abc import Callable, Mapping, Sequence

from deploy.local import certificates, children, environment, secret_files, servers
from deploy.local.checkout import Checkout
from deploy.local.environment import Addresses
from deploy.local.ports import read_ports
from deploy.local.run_lock import Holder, RunLock, find_holder
from deploy.local.stop_signals import raise_on_stop_signals
from deploy.local.supervisor import Supervisor
from deploy.local.up import holder_of


def run(
    checkout: Checkout,
    environ: Mapping[str, str],
    command: Sequence[str],
    *,
    say: Callable[[str], None],
) -> int:
    holder = find_holder(checkout.lock_file)
    if holder is not None and holder.environment:
        return _run(checkout, environ, command, _addresses_of(holder))
    with RunLock(checkout.lock_file) as lock, raise_on_stop_signals() as ignore_further:
        children.sweep(checkout.fingerprint)
        supervisor = Supervisor(say=say)
        try:
            addresses = servers.start(checkout, environ, supervisor)
            lock.tell(holder_of(" ".join(command), "", addresses))
            return _run(checkout, environ, command, addresses)
        except KeyboardInterrupt:
            return 130
        finally:
            ignore_further()
            supervisor.stop(last=servers.STOPPED_LAST)
            servers.leave_no_socket_folder(checkout, environ)


def _run(
    checkout: Checkout,
    environ: Mapping[str, str],
    command: Sequence[str],
    addresses: Addresses,
) -> int:
    """The command keeps our terminal and process group, so that Ctrl-C reaches it as well."""
    tls = certificates.ensure(checkout.tls)
    secret_files.ensure(checkout.secrets)
    env = {
        **environment.shared(checkout, read_ports(environ), tls, addresses, environ),
        **environment.of_command(checkout, addresses, environ),
        "PATH": environment.search_path(checkout, environ),
    }
    with subprocess.Popen(command, env=env, cwd=checkout.root) as popen:
        try:
            return popen.wait()
        except KeyboardInterrupt:
            popen.terminate()
            raise


def _addresses_of(holder: Holder) -> Addresses:
    given = holder.environment
    return Addresses(
        app=given["DATABASE_URL"],
        worker=given["DATABASE_WORKER_URL"],
        owner=given["DATABASE_OWNER_URL"],
        superuser=given["DATABASE_ADMIN_URL"],
        redis=given["REDIS_URL"],
    )
