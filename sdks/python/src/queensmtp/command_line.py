"""The command `queensmtp`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from queensmtp import folders, history, leak_reports, tokens, webhook_commands
from queensmtp.findings import Scan, ScanFailed
from queensmtp.leak_reports import ReportFailed

CLEAN, FOUND, FAILED = 0, 1, 2
BYTES_MAXIMUM = 100 * 1024 * 1024

# A traceback with local variables would print the keys that were found.
app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, pretty_exceptions_show_locals=False
)
app.add_typer(webhook_commands.app, name="webhooks")
out, errors = Console(), Console(stderr=True)


def main() -> None:
    app()


@app.callback()
def queensmtp() -> None:
    """QueenSMTP on the command line."""


@app.command()
def scan(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH…", help="Files and folders.", exists=True)
    ] = None,
    with_history: Annotated[
        bool,
        typer.Option("--history/--no-history", help="Look into the git history of each PATH."),
    ] = True,
    staged: Annotated[
        bool, typer.Option("--staged", help="Look at what the next git commit here would hold.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Report what is found, so that it is revoked.")
    ] = False,
    url: Annotated[
        str, typer.Option(envvar="QUEENSMTP_URL", help="The API to report to; ends in /v1.")
    ] = "",
    ca: Annotated[
        str, typer.Option(envvar="QUEENSMTP_CA", help="A certificate authority, PEM.")
    ] = "",
    bytes_maximum: Annotated[
        int, typer.Option("--max-bytes", min=1, help="How much of each file is looked at.")
    ] = BYTES_MAXIMUM,
) -> None:
    """Find QueenSMTP keys. Exits with 1 when there are some, 0 when not, 2 on an error."""
    if not paths and not staged:
        raise typer.BadParameter("give at least one PATH, or --staged.")
    if revoke:
        _must_be_reportable(url)
    found = Scan()
    try:
        if staged:
            history.scan_staged(Path(), found, bytes_maximum=bytes_maximum)
        for path in paths or ():
            _scan(path, found, with_history, bytes_maximum)
    except ScanFailed as failure:
        found.errors.append(str(failure))
    reported = _report(found, url, ca) if revoke else 0
    (_print_json if as_json else _print)(found, reported)
    raise typer.Exit(_exit_code(found, reported, revoke))


def _scan(path: Path, found: Scan, with_history: bool, bytes_maximum: int) -> None:
    repositories = folders.scan(path, found, bytes_maximum=bytes_maximum)
    for repository in repositories if with_history else ():
        history.scan(repository, found, bytes_maximum=bytes_maximum)


def _must_be_reportable(url: str) -> None:
    """Before anything is looked at."""
    if not url:
        raise typer.BadParameter("--revoke needs --url, or QUEENSMTP_URL.")
    try:
        leak_reports.check(url)
    except ReportFailed as failure:
        raise typer.BadParameter(str(failure)) from None


def _report(found: Scan, url: str, ca: str) -> int:
    keys = list(found.tokens())
    try:
        leak_reports.report(keys, url=url, ca_file=ca or None)
    except ReportFailed as failure:
        found.errors.append(f"nothing is known to be revoked: {failure}")
        return 0
    return len(keys)


def _exit_code(found: Scan, reported: int, revoke: bool) -> int:
    """Keys that were found say 1, unless they should have been revoked and were not."""
    if found.findings and (reported or not revoke):
        return FOUND
    return FAILED if found.errors else CLEAN


def _print(found: Scan, reported: int) -> None:
    for one in found.findings:
        _line(out, f"{one.place}: {tokens.masked(one.token)}")
    for line in found.notes:
        _line(errors, f"note: {line}")
    for line in found.errors:
        _line(errors, f"error: {line}", style="red")
    if reported:
        _line(errors, f"reported: {reported}; those that lived are revoked now")


def _line(console: Console, text: str, *, style: str = "") -> None:
    """One line, however narrow the window; programs read it."""
    console.print(Text(_printable(text), style=style), soft_wrap=True)


def _print_json(found: Scan, reported: int) -> None:
    body = {
        "findings": [one.shown() for one in found.findings],
        "errors": found.errors,
        "notes": found.notes,
        "reported": reported,
    }
    typer.echo(json.dumps(body, indent=2))


def _printable(text: str) -> str:
    """File names come from strangers: none may move the cursor or colour the screen."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
