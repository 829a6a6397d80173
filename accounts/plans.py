"""What each plan includes. Pure: the table itself, read by actions and pages."""

from dataclasses import dataclass
from enum import StrEnum


class Plan(StrEnum):
    COMMUNITY = "community"
    TEAM = "team"
    ENTERPRISE = "enterprise"


@dataclass(frozen=True)
class Terms:
    name: str
    audit_retention_days: int


TERMS: dict[Plan, Terms] = {
    Plan.COMMUNITY: Terms(name="Community", audit_retention_days=90),
    Plan.TEAM: Terms(name="Team", audit_retention_days=90),
    Plan.ENTERPRISE: Terms(name="Enterprise", audit_retention_days=365),
}


def terms_of(plan: str) -> Terms:
    return TERMS[Plan(plan)]
