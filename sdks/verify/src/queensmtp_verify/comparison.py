"""Whether two files of the same log tell one history."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from queensmtp_verify import tree
from queensmtp_verify.findings import Finding, Malformed
from queensmtp_verify.notes import Checkpoint, read_hash
from queensmtp_verify.verification import Report


def compare(one: Report, other: Report, proof: Sequence[bytes] | None = None) -> list[Finding]:
    """Return what contradicts in two reports that kept their leaves.

    That the later log begins with the earlier one is seen from a consistency proof, or from the
    later file itself when it holds every entry from the first on.
    """
    if one.checkpoint is None or other.checkpoint is None:
        return [Finding("comparison", "a file without a readable checkpoint cannot be compared")]
    older, newer = sorted((one, other), key=_size)
    return [
        Finding("comparison", each)
        for each in [*_leaf_problems(older, newer), *_root_problems(older, newer, proof)]
    ]


def read_proof(path: str | Path) -> list[bytes]:
    """Read the answer of `GET /v1/audit-log/proof/consistency` from a file."""
    try:
        return [read_hash(each) for each in json.loads(Path(path).read_text())["hashes"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{path} holds no consistency proof ({error})") from None


def _size(report: Report) -> int:
    return report.checkpoint.size if report.checkpoint else 0


def _leaf_problems(older: Report, newer: Report) -> Iterator[str]:
    for index in sorted(older.leaves.keys() & newer.leaves.keys()):
        if older.leaves[index] != newer.leaves[index]:
            yield f"leaf {index} is not the same in both files"


def _root_problems(older: Report, newer: Report, proof: Sequence[bytes] | None) -> Iterator[str]:
    first, second = older.checkpoint, newer.checkpoint
    assert first is not None and second is not None
    if first.origin != second.origin:
        yield f"they are of two logs, {first.origin} and {second.origin}"
    elif first.size == second.size or proof is not None:
        if not _is_consistent(first, second, proof or []):
            yield (
                f"the log of {second.size} leaves does not begin with the log of {first.size}: "
                "two histories, or the proof is of other sizes"
            )
    elif (root := _root_at(newer, first.size)) is None:
        yield (
            "that one log begins with the other is not proven: give the answer of "
            f"/v1/audit-log/proof/consistency?from={first.size}&to={second.size}"
        )
    elif root != first.root:
        yield f"the first {first.size} entries of the later file have another root"


def _is_consistent(first: Checkpoint, second: Checkpoint, proof: Sequence[bytes]) -> bool:
    return tree.is_consistent(
        first=first.size,
        second=second.size,
        first_root=first.root,
        second_root=second.root,
        proof=proof,
    )


def _root_at(report: Report, size: int) -> bytes | None:
    growing = tree.Growing()
    for index in range(size):
        leaf = report.leaves.get(index)
        if leaf is None:
            return None
        growing.add(leaf)
    return growing.root
