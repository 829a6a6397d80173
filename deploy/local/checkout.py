"""Where one checkout keeps what it writes, and the short name that tells two checkouts apart."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Checkout:
    root: Path
    var: Path

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(os.fsencode(self.var)).hexdigest()[:10]

    @property
    def lock_file(self) -> Path:
        return self.var / "lock"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def secrets(self) -> Path:
        return self.var / "secrets"

    @property
    def tls(self) -> Path:
        return self.var / "tls"

    @property
    def demo_env(self) -> Path:
        return self.var / "demo.env"

    @property
    def python(self) -> Path:
        return self.root / ".venv" / "bin" / "python"

    def shown(self, path: Path) -> str:
        """The path as a person at the root of the checkout would type it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def this_checkout(environ: Mapping[str, str]) -> Checkout:
    chosen = environ.get("QUEENSMTP_VAR")
    return Checkout(root=ROOT, var=Path(chosen).resolve() if chosen else ROOT / "var")
