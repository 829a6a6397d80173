"""kill -9 at every step of sealing and publishing: the next start completes what was begun."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from django.conf import LazySettings
from django.db import connection
from django.utils import timezone

from auditlog import actions, memory, verification
from auditlog.models import Checkpoint, Head, Leaf, Pending, Reader, Tile
from deploy.local.checkout import ROOT
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, leave_waiting
from tests.roles import as_role

UNDONE = [
    "after actions._take_pending",
    "after actions._grow",
    "after actions._insert_leaves",
    "after actions._insert_tiles",
    "after actions._move_heads",
]
COMMITTED = [
    "before memory.remember",
    "before publication.publish_due",
    "after publication._append",
    "before publication.read_up_to",
]


class Sealer:
    def __init__(self, settings: LazySettings) -> None:
        url = urlsplit(os.environ["DATABASE_WORKER_URL"])
        database = str(connection.settings_dict["NAME"])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.auditlog.killed_sealer"],
            cwd=ROOT,
            env={
                **os.environ,
                "QUEENSMTP_PROCESS": "worker",
                "DATABASE_WORKER_URL": url._replace(path=f"/{database}").geturl(),
                "AUDIT_MEMORY_FILE": settings.AUDIT_MEMORY_FILE,
                "AUDIT_CHECKPOINTS_FILE": settings.AUDIT_CHECKPOINTS_FILE,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def is_killed(self, step: str) -> bool:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{step}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) == -signal.SIGKILL


@pytest.fixture
def sealer(transactional_db: None, settings: LazySettings, tmp_path: Path) -> Iterator[Sealer]:
    settings.AUDIT_MEMORY_FILE = str(tmp_path / "memory.sqlite3")
    settings.AUDIT_CHECKPOINTS_FILE = str(tmp_path / "checkpoints.jsonl")
    made = Sealer(settings)
    yield made
    made.process.communicate(timeout=30)


def counts() -> list[int]:
    with as_role("worker"):
        return [model.objects.count() for model in (Pending, Leaf, Tile, Head)]


def test_the_next_start_completes_what_a_killed_sealer_began(
    sealer: Sealer, settings: LazySettings
) -> None:
    leave_waiting(300)
    for step in UNDONE:
        assert sealer.is_killed(step), step
        assert counts() == [300, 0, 0, 0], step
    for step in COMMITTED:
        assert sealer.is_killed(step), step
        assert counts() == [0, 300, 1, 1], step

    with as_role("worker"):
        assert actions.seal_all(now=timezone.now()) == 0
        checkpoint = Checkpoint.objects.get()
        assert Reader.objects.get(name="file").number == checkpoint.number
    written = Path(settings.AUDIT_CHECKPOINTS_FILE).read_bytes().splitlines()
    assert {orjson.loads(line)["note"] for line in written} == {checkpoint.note}
    with tenant(HIVE):
        assert verification.verify(HIVE) == []
        tree = Head.objects.get().tree()
    memory.check(settings.AUDIT_MEMORY_FILE, {HIVE: tree})
