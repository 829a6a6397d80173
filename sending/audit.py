from enum import StrEnum


class Event(StrEnum):
    SUBMITTED = "email.submitted"
    READ = "email.read"
    LISTED = "email.listed"
    # Bodies are personal data: the read is no ordinary one and waits for the disk.
    CONTENT_OPENED = "email.content_opened"


SENTENCES: dict[str, str] = {
    Event.SUBMITTED: "submitted the e-mail {target}",
    Event.READ: "looked up the e-mail {target}",
    Event.LISTED: "listed e-mails",
    Event.CONTENT_OPENED: "opened the contents of the e-mail {target}",
}
