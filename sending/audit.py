from enum import StrEnum


class Event(StrEnum):
    SUBMITTED = "email.submitted"
    BATCH_SUBMITTED = "email_batch.submitted"
    CANCELED = "email.canceled"
    RESCHEDULED = "email.rescheduled"
    RESENT = "email.resent"
    EXPORTED = "emails.exported"
    SCHEDULE_REFUSED = "email.schedule_refused"
    ATTACHMENTS_OPENED = "email.attachments_opened"
    REQUESTS_LISTED = "api_requests.listed"
    REQUEST_READ = "api_request.read"
    READ = "email.read"
    LISTED = "email.listed"
    # Bodies are personal data: the read is no ordinary one and waits for the disk.
    CONTENT_OPENED = "email.content_opened"
    PAUSED = "sending.paused"
    RESUMED = "sending.resumed"
    WARM_UP_BEGUN = "sending.warm_up_begun"
    WARM_UP_ENDED = "sending.warm_up_ended"
    CONTENT_DAYS_CHANGED = "content_retention.changed"
    CONTENT_DROPPED = "content_retention.applied"
    QUOTA_REACHED = "quota.reached"
    USAGE_READ = "usage.read"


SENTENCES: dict[str, str] = {
    Event.SUBMITTED: "submitted the e-mail {target}",
    Event.BATCH_SUBMITTED: "submitted a batch of {count} e-mails",
    Event.CANCELED: "canceled the e-mail {target}",
    Event.RESCHEDULED: "gave the e-mail {target} another time",
    Event.RESENT: "sent an e-mail again, as {target}",
    Event.EXPORTED: "exported a list of {count} e-mails",
    Event.SCHEDULE_REFUSED: "did not send the scheduled e-mail {target}",
    Event.ATTACHMENTS_OPENED: "opened attachments of the e-mail {target}",
    Event.REQUESTS_LISTED: "listed the requests of its keys",
    Event.REQUEST_READ: "looked up a request in the log",
    Event.READ: "looked up the e-mail {target}",
    Event.LISTED: "listed e-mails",
    Event.CONTENT_OPENED: "opened the contents of the e-mail {target}",
    Event.PAUSED: "held back mail: {target}",
    Event.RESUMED: "let go of mail that was held back: {target}",
    Event.WARM_UP_BEGUN: "began the warm-up of {target}",
    Event.WARM_UP_ENDED: "ended the warm-up of {target}",
    Event.USAGE_READ: "looked up what is used of the quotas",
    Event.CONTENT_DAYS_CHANGED: "changed how long the contents of messages are kept",
    Event.CONTENT_DROPPED: "dropped the contents of messages past their days",
    Event.QUOTA_REACHED: "found the quota of {target} nearly or wholly used up",
}
