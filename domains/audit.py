from enum import StrEnum


class Event(StrEnum):
    CREATED = "domain.created"
    VERIFIED = "domain.verified"


SENTENCES: dict[str, str] = {
    Event.CREATED: "added the domain {target}",
    Event.VERIFIED: "verified the domain {target}",
}
