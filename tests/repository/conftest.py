import subprocess

import pytest

from deploy.local.checkout import ROOT

Tracked = list["TrackedFile"]


class TrackedFile:
    """One file of the repository, by its path from the root."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def text(self) -> str:
        """Its text; nothing for a binary file."""
        content = (ROOT / self.path).read_bytes()
        return "" if b"\0" in content else content.decode(errors="replace")


@pytest.fixture(scope="session")
def tracked() -> Tracked:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [path for path in listed.stdout.split("\0") if path]
    return [TrackedFile(path) for path in paths if (ROOT / path).is_file()]
