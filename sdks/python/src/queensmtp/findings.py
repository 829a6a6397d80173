"""What a scan gathers: keys with their places, and what could not be looked at."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from queensmtp import tokens


@dataclass(frozen=True, slots=True)
class Finding:
    """A key, where it stands. `repr` shows no more of it than may be shown."""

    token: str
    path: str
    line: int
    commit: str | None = None

    def __repr__(self) -> str:
        return f"Finding({self.place}: {tokens.masked(self.token)})"

    @property
    def place(self) -> str:
        return f"{f'{self.commit[:12]}:' if self.commit else ''}{self.path}:{self.line}"

    def shown(self) -> dict[str, str | int | None]:
        """For `--json`."""
        return {
            "path": self.path,
            "line": self.line,
            "commit": self.commit,
            "prefix": tokens.prefix(self.token),
            "last4": tokens.last4(self.token),
        }


@dataclass(slots=True)
class Scan:
    """`errors` are places that could not be read, `notes` what was left out on purpose."""

    findings: list[Finding] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def tokens(self) -> Iterator[str]:
        """Each key once, in the order in which they were found."""
        return iter(dict.fromkeys(one.token for one in self.findings))


class ScanFailed(Exception):
    """The scan could not be made, or not to its end."""
