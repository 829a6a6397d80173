from enum import StrEnum


class Event(StrEnum):
    SUPPRESSIONS_LISTED = "suppression.listed"
    SUPPRESSION_READ = "suppression.read"
    SUPPRESSION_ADDED = "suppression.added"
    SUPPRESSION_REMOVED = "suppression.removed"
    SUPPRESSIONS_IMPORTED = "suppression.imported"
    # The whole list of people who bounced or complained leaves the console.
    SUPPRESSIONS_EXPORTED = "suppression.exported"


SENTENCES: dict[str, str] = {
    Event.SUPPRESSIONS_LISTED: "listed suppressions",
    Event.SUPPRESSION_READ: "looked up the suppression of {target}",
    Event.SUPPRESSION_ADDED: "stopped mail to {target}",
    Event.SUPPRESSION_REMOVED: "allowed mail to {target} again",
    Event.SUPPRESSIONS_IMPORTED: "imported {count} suppressions",
    Event.SUPPRESSIONS_EXPORTED: "exported {count} suppressions",
}
