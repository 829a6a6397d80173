"""Who does something, from where, and to what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from. `request_id` is always ours."""

    ip: str | None
    user_agent: str
    request_id: str
    client_request_id: str = ""


NOWHERE = Origin(ip=None, user_agent="", request_id="")


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a key or the system, acting for one account."""

    type: Literal["user", "key", "system"]
    id: str
    label: str
    account_id: UUID | None
    origin: Origin = NOWHERE
    key_id: UUID | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    # What every entry about an act of this actor says beside what was done.
    remarks: Mapping[str, str] = field(default_factory=dict)

    @property
    def tenant_id(self) -> UUID:
        """The account, for what can only be done inside one."""
        if self.account_id is None:
            raise ValueError(f"{self.type} {self.id} acts for no account")
        return self.account_id


@dataclass(frozen=True, slots=True)
class Target:
    """What an action was done to."""

    type: str
    id: str
    label: str = ""


def system_actor(account_id: UUID | None, name: str) -> Actor:
    """The platform itself, under the name of the part that acts."""
    return Actor(type="system", id=name, label=name, account_id=account_id)
