"""`queensmtp webhooks …`"""

import signal
import time
from contextlib import suppress
from typing import Annotated, Any

import typer

from queensmtp import listening
from queensmtp.api_calls import Api, CallFailed
from queensmtp.listening import Forwarded, Listener

DONE, FAILED = 0, 2

app = typer.Typer(pretty_exceptions_enable=False, pretty_exceptions_show_locals=False)


@app.callback()
def webhooks() -> None:
    """Webhooks, while you write what receives them."""


@app.command()
def listen(
    forward_to: Annotated[
        str, typer.Option(help="Where your program listens, e.g. http://localhost:3000/hook")
    ],
    events: Annotated[
        list[str] | None, typer.Option("--event", help="Only this type; may be given repeatedly.")
    ] = None,
    count: Annotated[int, typer.Option(min=0, help="End after so many events; 0 is never.")] = 0,
    url: Annotated[str, typer.Option(envvar="QUEENSMTP_URL", help="The API; ends in /v1.")] = "",
    ca: Annotated[
        str, typer.Option(envvar="QUEENSMTP_CA", help="A certificate authority, PEM.")
    ] = "",
    key: Annotated[
        str,
        typer.Option("--api-key", envvar="QUEENSMTP_API_KEY", help="Needs webhooks:write."),
    ] = "",
) -> None:
    """Hand the account's events to a local port as they come, signed like real deliveries."""
    if not url or not key:
        raise typer.BadParameter("set QUEENSMTP_URL and QUEENSMTP_API_KEY, or give both.")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        listening.check_target(forward_to)
        listener = Listener(Api(url, key=key, ca_file=ca or None), events or [], tell=_tell)
        listener.start()
        typer.echo(f"Listening. Events go to {forward_to}; end with Ctrl-C.")
        _hand_on(listener, forward_to, count)
    except (CallFailed, ValueError) as failure:
        _tell(str(failure))
        raise typer.Exit(FAILED) from None


def _hand_on(listener: Listener, forward_to: str, count: int) -> None:
    try:
        for number, event in enumerate(listener.events(), start=1):
            typer.echo(_line(listening.forward(event, forward_to)))
            if number == count:
                return
    except KeyboardInterrupt:
        return
    finally:
        # It ends by itself in two minutes.
        with suppress(CallFailed):
            listener.stop()


def _line(done: Forwarded) -> str:
    status = "nobody there" if done.status is None else str(done.status)
    at = time.strftime("%H:%M:%S")
    return f"{at} {done.event.type} {done.event.id} → {status} ({done.seconds * 1000:.0f} ms)"


def _tell(text: str) -> None:
    typer.echo("".join(one if one.isprintable() else " " for one in text), err=True)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
