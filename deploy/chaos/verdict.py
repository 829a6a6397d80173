"""What must hold after the kills, judged from outside: the ledger, the inbox, the tables."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

import psycopg

FINAL = "('delivered', 'sent', 'bounced', 'failed', 'suppressed', 'canceled')"


@dataclass(frozen=True)
class Facts:
    """What the platform and the inbox say of the messages of one run."""

    stored: Mapping[str, str]
    waiting_count: int
    in_doubt_count: int
    submitted: Mapping[str, int]
    copies: Mapping[str, int]
    # Messages of the key with a quota, and what its counters say.
    of_limited_key: int
    counted: int

    @property
    def duplicates(self) -> int:
        return sum(count - 1 for count in self.copies.values())


def waiting_of(database: str, name: str) -> int:
    """How many recipients of the run have not reached their end state."""
    with psycopg.connect(database) as connection:
        return int(_one(connection, _RECIPIENTS.format(f"r.state NOT IN {FINAL}"), name))


def facts(database: str, inbox: Path, name: str, *, limited_key: str) -> Facts:
    with psycopg.connect(database) as connection:
        stored: dict[str, str] = dict(
            connection.execute(
                "SELECT id::text, subject FROM sending_message WHERE subject LIKE %s", [f"{name}-%"]
            ).fetchall()
        )
        entries = connection.execute(
            # The entry of the request that stored it; a repeat that was answered with the same
            # id is a request of its own, with an entry of its own.
            "SELECT e.target_id, count(*) FROM auditlog_entry e JOIN sending_message m"
            " ON m.id::text = e.target_id AND m.request_id = e.request_id"
            " WHERE e.event = 'email.submitted' AND m.id = ANY (%s::uuid[]) GROUP BY e.target_id",
            [list(stored)],
        ).fetchall()
        return Facts(
            stored=stored,
            waiting_count=int(
                _one(connection, _RECIPIENTS.format(f"r.state NOT IN {FINAL}"), name)
            ),
            in_doubt_count=int(
                _one(connection, _RECIPIENTS.format("true").replace("count(*)", _DOUBTS), name)
            ),
            submitted=dict(entries),
            copies=_copies(inbox, name),
            of_limited_key=_count(connection, _OF_KEY, limited_key),
            counted=_count(connection, _COUNTED, limited_key),
        )


def broken(accepted: Mapping[str, str], found: Facts) -> list[str]:
    """The promises that do not hold, in words; none when all is well."""
    said = []
    lost = _missing(accepted.values(), found.stored)
    if lost:
        said.append(f"{len(lost)} accepted messages are not stored: {lost[:3]}")
    if len(found.stored) != len(accepted):
        said.append(f"{len(found.stored)} messages are stored for {len(accepted)} keys")
    if found.waiting_count:
        said.append(f"{found.waiting_count} recipients have reached no end state")
    undelivered = _missing(accepted, found.copies)
    if undelivered:
        said.append(f"{len(undelivered)} messages are not in the inbox: {undelivered[:3]}")
    if found.duplicates > found.in_doubt_count:
        said.append(f"{found.duplicates} duplicates, but only {found.in_doubt_count} in doubt")
    wrong = [one for one in found.stored if found.submitted.get(one) != 1]
    if wrong:
        said.append(f"{len(wrong)} messages do not have exactly one audit entry: {wrong[:3]}")
    if found.counted != found.of_limited_key:
        said.append(
            f"{found.counted} recipients are counted against a quota, but {found.of_limited_key} "
            "were accepted"
        )
    return said


# Over midnight there are two counters. Each message has one recipient.
_COUNTED = "SELECT COALESCE(sum(used), 0) FROM sending_quotacounter WHERE counter_id = %s"
_OF_KEY = "SELECT count(*) FROM sending_message WHERE key_id = %s"
_DOUBTS = "COALESCE(sum(r.in_doubt_count), 0)"
_RECIPIENTS = (
    "SELECT count(*) FROM sending_recipient r JOIN sending_message m ON m.id = r.message_id"
    " WHERE m.subject LIKE %s AND {}"
)


def _one(connection: "psycopg.Connection[tuple[object, ...]]", sql: str, name: str) -> str:
    row = connection.execute(sql.encode(), [f"{name}-%"]).fetchone()
    assert row is not None
    return str(row[0])


def _count(connection: "psycopg.Connection[tuple[object, ...]]", sql: str, key_id: str) -> int:
    row = connection.execute(sql.encode(), [key_id]).fetchone()
    assert row is not None
    return int(str(row[0]))


def _copies(inbox: Path, name: str) -> Counter[str]:
    subjects: Counter[str] = Counter()
    for path in inbox.glob("new/*"):
        subject = str(BytesHeaderParser().parsebytes(path.read_bytes())["Subject"])
        if subject.startswith(f"{name}-"):
            subjects[subject] += 1
    return subjects


def _missing(wanted: Collection[str], found: Collection[str]) -> list[str]:
    return sorted(set(wanted) - set(found))
