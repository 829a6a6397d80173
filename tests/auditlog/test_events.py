import re
from importlib import import_module

import pytest
from django.apps import apps
from django.conf import settings

from auditlog import audit
from auditlog.models import Entry


def test_every_event_is_a_subject_and_a_past_tense_with_a_sentence() -> None:
    assert "api_key.created" in audit.events() and "audit_log.read" in audit.events()
    for event, sentence in audit.events().items():
        assert re.fullmatch(r"[a-z0-9_]+\.[a-z0-9_]+", event)
        assert sentence and sentence != event, event


def test_the_list_of_events_is_documented() -> None:
    page = (settings.BASE_DIR / "docs" / "audit-events.md").read_text()
    assert page == audit.documented(), 'run: make manage ARGS="audit_events"'


def test_no_two_apps_record_the_same_event() -> None:
    modules = [
        import_module(f"{app.name}.audit") for app in apps.get_app_configs() if has_audit(app.name)
    ]
    names = [str(event) for module in modules for event in getattr(module, "Event", ())]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("event", "label", "target_id", "sentence"),
    [
        ("api_key.created", "Newsletter", "1", "created the API key Newsletter"),
        ("api_key.created", "", "0199", "created the API key 0199"),
        ("api_key.created", "", "", "created the API key"),
        ("api_key.created", "{0.__class__}", "", "created the API key {0.__class__}"),
        ("audit_log.read", "Hive", "1", "read the audit log: Hive"),
        ("gone.long_ago", "", "", "gone long ago"),
    ],
)
def test_an_entry_reads_as_a_sentence(
    event: str, label: str, target_id: str, sentence: str
) -> None:
    entry = Entry(event=event, target_label=label, target_id=target_id, actor_label="A", count=1)
    assert audit.sentence_for(entry) == sentence


def has_audit(name: str) -> bool:
    try:
        import_module(f"{name}.audit")
    except ModuleNotFoundError:
        return False
    return True
