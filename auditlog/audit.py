"""The events of this app, and the register of every app's events with their sentences."""

from enum import StrEnum
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps

from auditlog.models import Entry


class Event(StrEnum):
    LOG_READ = "audit_log.read"
    ENTRY_READ = "audit_entry.read"
    CHECKPOINT_READ = "audit_checkpoint.read"
    PROOF_READ = "audit_proof.read"
    RECEIPT_READ = "audit_receipt.read"
    CHECKPOINT_DISPUTED = "audit_checkpoint.disputed"
    EXPORT_REQUESTED = "audit_export.requested"
    EXPORT_LISTED = "audit_export.listed"
    EXPORT_READ = "audit_export.read"
    EXPORT_CANCELED = "audit_export.canceled"
    EXPORT_FINISHED = "audit_export.finished"
    EXPORT_FAILED = "audit_export.failed"
    EXPORT_DOWNLOADED = "audit_export.downloaded"
    EXPORT_EXPIRED = "audit_export.expired"
    RETENTION_READ = "audit_retention.read"
    RETENTION_RAISED = "audit_retention.raised"
    RETENTION_LOWERED = "audit_retention.lowered"
    FALL_ANNOUNCED = "audit_retention.fall_announced"
    FALL_WITHDRAWN = "audit_retention.fall_withdrawn"
    ENTRIES_PRUNED = "audit_entry.pruned"
    PARTITION_DROPPED = "audit_partition.dropped"
    ERASURE_LISTED = "audit_erasure.listed"
    ERASURE_READ = "audit_erasure.read"
    ERASURE_REQUESTED = "audit_erasure.requested"
    PERSONAL_DATA_ERASED = "audit_erasure.finished"
    VIEW_LISTED = "audit_view.listed"
    VIEW_READ = "audit_view.read"
    VIEW_SAVED = "audit_view.saved"
    VIEW_REMOVED = "audit_view.removed"
    STREAM_LISTED = "audit_stream.listed"
    STREAM_READ = "audit_stream.read"
    STREAM_CREATED = "audit_stream.created"
    STREAM_SWITCHED = "audit_stream.switched"
    STREAM_REMOVED = "audit_stream.removed"
    # A request with a key whose view declares no event of its own: nothing goes unrecorded.
    REQUEST_MADE = "api_request.made"


SENTENCES: dict[str, str] = {
    Event.LOG_READ: "read the audit log",
    Event.ENTRY_READ: "read an audit entry",
    Event.CHECKPOINT_READ: "read a checkpoint of the audit log",
    Event.PROOF_READ: "read a proof from the audit log",
    Event.RECEIPT_READ: "read the receipt of an audit entry",
    Event.CHECKPOINT_DISPUTED: "found that the stored audit log is not what was signed",
    Event.EXPORT_REQUESTED: "asked for an export of the audit log",
    Event.EXPORT_LISTED: "listed the exports of the audit log",
    Event.EXPORT_READ: "looked at an export of the audit log",
    Event.EXPORT_CANCELED: "canceled an export of the audit log",
    Event.EXPORT_FINISHED: "finished an export of the audit log",
    Event.EXPORT_FAILED: "could not finish an export of the audit log",
    Event.EXPORT_DOWNLOADED: "downloaded an export of the audit log",
    Event.EXPORT_EXPIRED: "removed the file of an export that expired",
    Event.RETENTION_READ: "looked at how long the audit log is kept",
    Event.RETENTION_RAISED: "raised how long the audit log is kept",
    Event.RETENTION_LOWERED: "shortened how long the audit log is kept, as announced",
    Event.FALL_ANNOUNCED: "announced that the audit log will be kept for less",
    Event.FALL_WITHDRAWN: "withdrew that the audit log would be kept for less",
    Event.ENTRIES_PRUNED: "removed the contents of entries past their retention",
    Event.PARTITION_DROPPED: "dropped a week of the audit log of which nothing was left",
    Event.ERASURE_LISTED: "listed the erasures of personal data from the audit log",
    Event.ERASURE_READ: "looked at an erasure of personal data from the audit log",
    Event.ERASURE_REQUESTED: "asked to erase personal data from the audit log",
    Event.PERSONAL_DATA_ERASED: "erased personal data from the audit log",
    Event.VIEW_LISTED: "listed the saved views of the audit log",
    Event.VIEW_READ: "looked at a saved view of the audit log",
    Event.VIEW_SAVED: "saved a view of the audit log",
    Event.VIEW_REMOVED: "removed a view of the audit log",
    Event.STREAM_LISTED: "listed the streams of the audit log",
    Event.STREAM_READ: "looked at a stream of the audit log",
    Event.STREAM_CREATED: "set up a stream of the audit log",
    Event.STREAM_SWITCHED: "switched a stream of the audit log",
    Event.STREAM_REMOVED: "removed a stream of the audit log",
    Event.REQUEST_MADE: "called the API",
}


@cache
def events() -> dict[str, str]:
    """Return every event that any installed app records, with its sentence."""
    found: dict[str, str] = {}
    for app in apps.get_app_configs():
        name = f"{app.name}.audit"
        if find_spec(name):
            found |= _events_of(import_module(name))
    return dict(sorted(found.items()))


def documented() -> str:
    """Return the page that lists every event: `manage.py audit_events` writes it."""
    rows = [f"| `{name}` | {_shown(sentence)} |" for name, sentence in events().items()]
    return "\n".join(
        [
            "# The events of the audit log",
            "",
            "The list is closed: no entry has another event. Written by `make manage "
            'ARGS="audit_events"`; a test fails when it is not up to date. An event that ends in '
            "`.read` or `.listed` is an ordinary read when it was allowed.",
            "",
            "| event | what the console says after the actor's name |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def _shown(sentence: str) -> str:
    return sentence.replace("{target}", "…").replace("{count}", "n").replace("{actor}", "…").strip()


def sentence_for(entry: Entry) -> str:
    """Say what was done, to be read after the actor's name: "created a key: Newsletter"."""
    sentence = events().get(entry.event, entry.event.replace(".", " ").replace("_", " "))
    target = entry.target_label or entry.target_id
    if "{" in sentence:
        said = sentence.format(actor=entry.actor_label, target=target, count=entry.count)
        return said.strip()
    return f"{sentence}: {target}" if target else sentence


def _events_of(module: object) -> dict[str, str]:
    names = getattr(module, "Event", ())
    sentences: dict[str, str] = getattr(module, "SENTENCES", {})
    return {str(name): sentences.get(name, str(name)) for name in names}
