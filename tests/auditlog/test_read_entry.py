"""GET /v1/audit-log/{id}"""

import json
from base64 import b64decode
from hashlib import sha256

import pytest

from auditlog import canonical
from queensmtp.ids import new_id
from tests.auditlog.conftest import AuditApi
from tests.factories.auditlog import record_many, seal
from tests.factories.cast import Cast

pytestmark = pytest.mark.django_db

PERSONAL = ("ip", "user_agent", "client_request_id", "changes")


def test_it_gives_what_a_stranger_needs_to_check_the_personal_fields(
    api: AuditApi, cast: Cast
) -> None:
    (entry_id,) = record_many(1, cast.hive.pk)
    seal()
    entry = api.get(f"/{entry_id}").json()
    proof = api.get("/proof/inclusion", entry_id=str(entry_id)).json()
    personal = {
        "actor_label": entry["actor"]["label"],
        "target_label": entry["target"]["label"],
        **{name: entry[name] for name in PERSONAL},
    }
    committed = sha256(b64decode(entry["salt"]) + canonical.encode(personal)).digest()
    assert b64decode(json.loads(proof["leaf_data"])["private_hash"]) == committed
    assert entry["leaf_index"] == proof["leaf_index"]


def test_charlie_gets_404_as_for_what_does_not_exist(charlies: AuditApi, cast: Cast) -> None:
    (entry_id,) = record_many(1, cast.hive.pk)
    foreign, missing, malformed = (
        charlies.get(f"/{each}") for each in (entry_id, new_id(), "nonsense")
    )
    assert [each.status_code for each in (foreign, missing, malformed)] == [404, 404, 404]
    assert foreign.json()["message"] == missing.json()["message"] == malformed.json()["message"]


def test_it_refuses_unknown_parameters_and_a_missing_scope(api: AuditApi, cast: Cast) -> None:
    (entry_id,) = record_many(1, cast.hive.pk)
    assert api.get(f"/{entry_id}", salt="false").status_code == 422
    assert AuditApi(cast.hive, "keys:read").get(f"/{entry_id}").status_code == 403
