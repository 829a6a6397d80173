import pytest

from sending import states
from sending.states import InvalidTransition, Reaction, State, Transition


def test_the_usual_way_of_a_message() -> None:
    state = states.after(State.SCHEDULED, Transition.RELEASE)
    for transition in (Transition.CLAIM, Transition.DEFER, Transition.CLAIM, Transition.DELIVER):
        state = states.after(state, transition)
    assert state is State.DELIVERED


def test_what_is_in_doubt_is_tried_again_and_cannot_be_canceled() -> None:
    doubtful = states.after(State.SENDING, Transition.DOUBT)
    assert states.after(doubtful, Transition.CLAIM) is State.SENDING
    with pytest.raises(InvalidTransition):
        states.after(doubtful, Transition.CANCEL)


@pytest.mark.parametrize("state", states.FINAL)
def test_what_is_final_is_never_claimed_again(state: State) -> None:
    for transition in set(Transition) - {Transition.BOUNCE}:
        with pytest.raises(InvalidTransition):
            states.after(state, transition)


def test_a_bounce_may_arrive_after_the_delivery() -> None:
    assert states.after(State.DELIVERED, Transition.BOUNCE) is State.BOUNCED
    assert states.after(State.SENT, Transition.BOUNCE) is State.BOUNCED


def test_only_what_is_being_sent_gets_an_outcome_of_sending() -> None:
    for transition in (Transition.DELIVER, Transition.RELAY, Transition.DEFER, Transition.DOUBT):
        assert states.sources(transition) == [State.SENDING]


def test_every_state_that_is_not_final_can_be_left() -> None:
    for state in set(State) - states.FINAL:
        assert any(state in states.sources(transition) for transition in Transition)


@pytest.mark.parametrize(
    ("recipients", "event"),
    [
        ([State.SCHEDULED], "scheduled"),
        ([State.DELIVERED, State.SENDING], "queued"),
        ([State.DELIVERED, State.DEFERRED, State.BOUNCED], "delivery_delayed"),
        ([State.DELIVERED, State.IN_DOUBT], "delivery_delayed"),
        ([State.SENT, State.BOUNCED], "sent"),
        ([State.DELIVERED], "delivered"),
        ([State.BOUNCED], "bounced"),
        ([State.DELIVERED, Reaction.OPENED], "delivered"),
        ([Reaction.COMPLAINED, Reaction.CLICKED], "clicked"),
        ([Reaction.OPENED, State.BOUNCED], "opened"),
        ([State.CANCELED, State.CANCELED], "canceled"),
        ([State.SUPPRESSED], "suppressed"),
        ([State.FAILED], "failed"),
    ],
)
def test_the_last_event_is_that_of_the_least_final_recipient(
    recipients: list[State | Reaction], event: str
) -> None:
    assert states.last_event(recipients) == event
    assert states.last_event(reversed(recipients)) == event
