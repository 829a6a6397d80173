import pytest

from sending import bounces
from sending.bounces import Bounce


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "kind"),
    [
        (550, "5.1.1", "User unknown", bounces.HARD),
        (550, "5.1.10", "RESOLVER.ADR.RecipientNotFound", bounces.HARD),
        (550, "5.2.1", "The email account is disabled", bounces.HARD),
        (550, "", "No such user here", bounces.HARD),
        (550, "5.0.0", "Requested action not taken: mailbox unavailable", bounces.HARD),
        (552, "5.2.2", "Mailbox full", bounces.FULL),
        (552, "", "Quota exceeded, mailbox is full", bounces.FULL),
        (552, "5.3.4", "Message too big", bounces.TOO_LARGE),
        (554, "5.7.1", "Rejected as spam", bounces.REJECTED),
        (550, "", "user unknown to our spam policy", bounces.REJECTED),
        (0, "4.4.7", "Delivery time expired", bounces.SOFT),
        (450, "", "Greylisted", bounces.SOFT),
        (550, "5.4.1", "Recipient address rejected: Access denied", bounces.UNKNOWN),
        (554, "", "Transaction failed", bounces.UNKNOWN),
        (0, "", "", bounces.UNKNOWN),
    ],
)
def test_a_refusal_has_a_kind(code: int, enhanced: str, text: str, kind: Bounce) -> None:
    assert bounces.classify(code=code, enhanced=enhanced, text=text) == kind


def test_only_a_mailbox_that_is_not_there_is_hard() -> None:
    kinds = [one for one in vars(bounces).values() if isinstance(one, Bounce)]
    assert [one for one in kinds if one.is_hard] == [bounces.HARD]
