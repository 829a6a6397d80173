"""Real files of a real log, made by the API and the worker, for the offline verifier to read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from queensmtp_verify.trust import Trust, read_keys
from queensmtp_verify.verification import Report, verify

from auditlog import log_keys, publication
from auditlog.checkpoints import encoded
from tests.auditlog.conftest import AuditApi
from tests.auditlog.test_exports import exported
from tests.factories.auditlog import record_many, seal
from tests.factories.cast import Cast
from tests.roles import as_role


@pytest.fixture
def api(cast: Cast) -> AuditApi:
    return AuditApi(cast.hive)


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.AUDIT_EXPORT_DIR = tmp_path / "exports"


@pytest.fixture
def trust(db: None) -> Trust:
    return Trust(keys=tuple(read_keys(encoded(log_keys.public_keys()[0]))))


class Files:
    """Writes what the platform hands out into a folder."""

    def __init__(self, api: AuditApi, cast: Cast, folder: Path) -> None:
        self.api, self.cast, self.folder = api, cast, folder
        self._count = 0

    def write(self, data: bytes) -> Path:
        self._count += 1
        path = self.folder / f"file-{self._count}"
        path.write_bytes(data)
        return path

    def export(self, *, format: str = "jsonl", proofs: bool = True, **asked: Any) -> Path:
        _, data = exported(self.api, format=format, proofs=proofs, **asked)
        return self.write(data)

    def checkpoint(self, size: int | None = None) -> dict[str, Any]:
        query = {} if size is None else {"size": size}
        body: dict[str, Any] = self.api.get("/checkpoint", **query).json()
        return body

    def receipt(self, entry_id: object) -> Path:
        return self.write(receipt_of(self.api, entry_id))

    def consistency(self, first: int, second: int) -> Path:
        proof = self.api.get("/proof/consistency", **{"from": first, "to": second})
        return self.write(proof.content)


def receipt_of(api: AuditApi, entry_id: object) -> bytes:
    """Ask as a client does, and let the sealer work in between."""
    for _ in range(3):
        answer = api.get(f"/{entry_id}/receipt")
        if answer.status_code == 200:
            return bytes(answer.content)
        assert (answer.status_code, answer.headers["Retry-After"]) == (202, "1")
        seal()
        with as_role("worker"):
            publication.publish_due(now=timezone.now())
    raise AssertionError("no receipt came")


@pytest.fixture
def files(api: AuditApi, cast: Cast, tmp_path: Path) -> Files:
    record_many(6, cast.hive.pk, event="domain.created")
    return Files(api, cast, tmp_path)


def changed(files: Files, path: Path, change: Callable[[list[Any]], None]) -> Path:
    """Change the lines of a JSON Lines file."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    change(lines)
    return files.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def found(path: Path, trust: Trust, **options: Any) -> str:
    return "\n".join(map(str, verify(path, trust, **options).findings))


def report_of(path: Path, trust: Trust) -> Report:
    return verify(path, trust, keep_leaves=True)
