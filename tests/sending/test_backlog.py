"""Who comes next in a worker: accounts take turns, and no destination takes all places."""

import uuid
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sending.backlog import Backlog
from sending.parcels import Parcel


def parcel(account: int, domain: str, *, begin_by: float = 100.0) -> Parcel:
    message: Any = SimpleNamespace(account_id=uuid.UUID(int=account))
    claim: Any = SimpleNamespace(domain=domain)
    letter: Any = None
    return Parcel(message, [claim], letter, begin_by)


def backlog(
    *parcels: Parcel, places: int = 100, per_account: int = 100, per_destination: int = 100
) -> Backlog:
    made = Backlog(
        places=places,
        per_account=per_account,
        per_destination=per_destination,
        waiting_limit=1_000,
    )
    made.add(parcels)
    return made


def begun(waiting: Backlog) -> list[Parcel]:
    found = []
    while one := waiting.begin():
        found.append(one)
    return found


def account_of(one: Parcel) -> int:
    return one.message.account_id.int


def test_a_flood_and_a_trickle_take_turns() -> None:
    flood = [parcel(1, "a.example") for _ in range(50)]
    waiting = backlog(*flood, parcel(2, "a.example"), parcel(2, "b.example"))
    assert [account_of(one) for one in begun(waiting)[:4]] == [1, 2, 1, 2]


def test_destinations_of_one_account_take_turns() -> None:
    waiting = backlog(*[parcel(1, "a.example") for _ in range(9)], parcel(1, "b.example"))
    assert [one.domain for one in begun(waiting)[:2]] == ["a.example", "b.example"]


def test_a_destination_gets_its_share_and_leaves_the_other_places_free() -> None:
    slow = [parcel(1, "slow.example") for _ in range(20)]
    waiting = backlog(*slow, parcel(1, "quick.example"), places=8, per_destination=3)
    assert [one.domain for one in begun(waiting)].count("slow.example") == 3
    assert waiting.running_count == 4
    assert waiting.crowded() == ["slow.example"]


def test_an_account_leaves_places_for_the_others_and_is_claimed_no_more_of() -> None:
    slow = [parcel(1, f"{number}.example") for number in range(20)]
    waiting = backlog(*slow, places=8, per_account=6)
    assert len(begun(waiting)) == 6
    assert waiting.wants_more
    assert waiting.crowded_accounts() == [uuid.UUID(int=1)]
    waiting.add([parcel(2, "quick.example")])
    assert [account_of(one) for one in begun(waiting)] == [2]


def test_an_account_of_which_little_waits_is_claimed_more_of() -> None:
    waiting = backlog(*[parcel(1, f"{number}.example") for number in range(11)], per_account=6)
    begun(waiting)
    assert waiting.waiting_count == 5
    assert waiting.crowded_accounts() == []


def test_a_place_that_is_free_again_is_given_to_the_next() -> None:
    first, second = parcel(1, "a.example"), parcel(1, "a.example")
    waiting = backlog(first, second, per_destination=1)
    assert begun(waiting) == [first]
    waiting.end(first)
    assert begun(waiting) == [second]


def test_a_destination_that_was_slowed_down_gets_less_than_its_share() -> None:
    waiting = backlog(*[parcel(1, "a.example") for _ in range(9)], per_destination=5)
    waiting.limit({"a.example": 2})
    assert len(begun(waiting)) == 2
    assert list(waiting.limited) == ["a.example"]


def test_wants_more_only_where_a_place_is_free_for_it() -> None:
    waiting = backlog(*[parcel(1, "a.example") for _ in range(4)], places=2)
    begun(waiting)
    assert not waiting.wants_more
    waiting = backlog(*[parcel(1, "a.example") for _ in range(4)], places=2, per_destination=1)
    begun(waiting)
    assert waiting.wants_more


def test_what_waited_too_long_is_taken_out() -> None:
    old, young = parcel(1, "a.example", begin_by=1.0), parcel(1, "b.example", begin_by=9.0)
    waiting = backlog(old, young)
    assert waiting.take_stale(5.0) == [old]
    assert begun(waiting) == [young]
    assert waiting.waiting_count == 0


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from("abc"), st.booleans())),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 5),
)
def test_nothing_is_lost_and_no_limit_is_passed(
    steps: list[tuple[int, str, bool]], places: int, per_account: int, per_destination: int
) -> None:
    waiting = backlog(places=places, per_account=per_account, per_destination=per_destination)
    running: list[Parcel] = []
    taken = 0
    for account, domain, ends in steps:
        waiting.add([parcel(account, domain)])
        if one := waiting.begin():
            running.append(one)
            taken += 1
        assert len(running) <= places
        domains = [one.domain for one in running]
        assert all(domains.count(one) <= per_destination for one in domains)
        accounts = [account_of(one) for one in running]
        assert all(accounts.count(one) <= per_account for one in accounts)
        if ends and running:
            waiting.end(running.pop())
    while running or waiting.waiting_count:
        new = begun(waiting)
        taken += len(new)
        running += new
        assert running
        waiting.end(running.pop())
    assert taken == len(steps)
