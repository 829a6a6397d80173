"""The judge of the kills must see each fault that it looks for."""

from dataclasses import replace
from pathlib import Path

import pytest

from deploy.chaos import verdict
from deploy.chaos.kills import TARGETS
from deploy.chaos.ledger import Ledger
from deploy.chaos.verdict import Facts

ACCEPTED = {"run-0": "id-0", "run-1": "id-1"}
SOUND = Facts(
    stored={"id-0": "run-0", "id-1": "run-1"},
    waiting_count=0,
    in_doubt_count=0,
    submitted={"id-0": 1, "id-1": 1},
    copies={"run-0": 1, "run-1": 1},
    of_limited_key=1,
    counted=1,
)


def test_a_sound_run_breaks_nothing() -> None:
    assert verdict.broken(ACCEPTED, SOUND) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"stored": {"id-0": "run-0"}}, "not stored"),
        ({"stored": {**SOUND.stored, "id-2": "run-1"}}, "for 2 keys"),
        ({"waiting_count": 1}, "no end state"),
        ({"copies": {"run-0": 1}}, "not in the inbox"),
        ({"copies": {"run-0": 2, "run-1": 1}}, "1 duplicates"),
        ({"counted": 2}, "2 recipients are counted against a quota, but 1"),
        ({"counted": 0}, "0 recipients are counted"),
        ({"submitted": {"id-0": 1}}, "exactly one audit entry"),
        ({"submitted": {"id-0": 1, "id-1": 2}}, "exactly one audit entry"),
    ],
)
def test_each_broken_promise_is_seen(changed: dict[str, object], said: str) -> None:
    assert any(said in line for line in verdict.broken(ACCEPTED, replace(SOUND, **changed)))  # type: ignore[arg-type]


def test_a_duplicate_with_a_delivery_in_doubt_is_as_promised() -> None:
    doubted = replace(SOUND, copies={"run-0": 2, "run-1": 1}, in_doubt_count=1)
    assert verdict.broken(ACCEPTED, doubted) == []


def test_the_inbox_is_counted_by_subject(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    for number, subject in enumerate(["run-1", "run-1", "other-1"]):
        (tmp_path / "new" / str(number)).write_bytes(f"Subject: {subject}\r\n\r\n".encode())
    assert verdict._copies(tmp_path, "run") == {"run-1": 2}


def test_one_key_answered_with_two_ids_ends_the_run(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.told("run-0", "id-0")
    ledger.told("run-0", "id-0")
    with pytest.raises(AssertionError):
        ledger.told("run-0", "id-9")
    ledger.close()


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (["python", "-m", "granian", "--interface", "asginl"], "web"),
        (["python", "-m", "celery", "-n", "send@localhost"], "send worker"),
        (["/var/bin/valkey-server", "*:0"], "valkey"),
        (["/var/bin/postgres", "-D", "/var/data"], "postgres"),
        (["postgres: walwriter"], None),
        (["python", "-m", "celery", "-n", "audit@localhost"], None),
    ],
)
def test_each_target_is_told_from_the_others(words: list[str], target: str | None) -> None:
    found = [name for name, is_one in TARGETS.items() if is_one(words)]
    assert found == ([target] if target else [])
