"""GET /v1/audit-log/checkpoint, /proof/inclusion and /proof/consistency"""

from base64 import b64decode
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.utils import timezone
from pymerkle import InmemoryTree

from auditlog import checkpoints, log_keys, merkle, publication
from auditlog.models import Leaf
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.auditlog.conftest import AuditApi
from tests.factories.auditlog import leave_waiting, record_many, seal
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db


def hashes(proof: dict[str, Any]) -> list[bytes]:
    return [b64decode(each) for each in proof["hashes"]]


def test_the_newest_checkpoint_is_signed_for_the_account(api: AuditApi, cast: Cast) -> None:
    seal()
    body = api.get("/checkpoint").json()
    origin = f"localhost/{cast.hive.pk}"
    signed = checkpoints.verify(body["note"], origin=origin, public_keys=log_keys.public_keys())
    assert (body["object"], body["origin"]) == ("checkpoint", origin)
    assert (body["size"], b64decode(body["root_hash"])) == (signed.size, signed.root)


def test_a_published_checkpoint_stays(api: AuditApi, cast: Cast) -> None:
    seal()
    with as_role("worker"):
        publication.publish_due(now=timezone.now())
    published = api.get("/checkpoint").json()
    record_many(1, cast.hive.pk)
    seal()
    assert api.get("/checkpoint").json()["size"] > published["size"]
    assert api.get("/checkpoint", size=str(published["size"])).json() == published
    assert api.get("/checkpoint", size=str(published["size"] + 100)).status_code == 404


def test_before_the_first_seal_there_is_nothing(api: AuditApi) -> None:
    for path in ("/checkpoint", "/proof/consistency?from=1&to=1", "/proof/inclusion?leaf_index=0"):
        assert api.get(path).status_code == 404


def test_an_entry_is_proven_against_the_checkpoint(api: AuditApi, cast: Cast) -> None:
    leave_waiting(700, cast.hive.pk)
    ids = record_many(3, cast.hive.pk)
    leave_waiting(10, cast.hive.pk)
    seal()
    checkpoint = api.get("/checkpoint").json()
    proof = api.get("/proof/inclusion", entry_id=str(ids[1])).json()
    leaf = sha256(b"\x00" + proof["leaf_data"].encode()).digest()
    assert b64decode(proof["leaf_hash"]) == leaf
    assert proof["size"] == checkpoint["size"]
    assert merkle.verify_inclusion(
        leaf=leaf,
        index=proof["leaf_index"],
        size=proof["size"],
        proof=hashes(proof),
        root=b64decode(checkpoint["root_hash"]),
    )
    again = api.get("/proof/inclusion", leaf_index=str(proof["leaf_index"])).json()
    assert again == proof


def test_every_leaf_is_proven_in_every_size(api: AuditApi, cast: Cast) -> None:
    for count in (200, 100, 300):
        leave_waiting(count, cast.hive.pk)
        seal()
    with tenant(cast.hive.pk):
        leaves = [bytes(leaf.hash) for leaf in Leaf.objects.order_by("leaf_index")]
    size = len(leaves)
    for index, at in ((0, 1), (0, size), (255, 256), (256, 257), (300, 301), (511, size)):
        proof = api.get("/proof/inclusion", leaf_index=str(index), size=str(at)).json()
        root = merkle.Frontier().extended(leaves[:at]).root
        assert merkle.verify_inclusion(
            leaf=leaves[index], index=index, size=at, proof=hashes(proof), root=root
        )


def test_a_later_tree_is_proven_to_begin_with_an_earlier_one(api: AuditApi, cast: Cast) -> None:
    seen = []
    for count in (255, 1, 1, 300, 2):
        leave_waiting(count, cast.hive.pk)
        seal()
        seen.append(api.get("/checkpoint").json())
    for place, old in enumerate(seen):
        for new in seen[place:]:
            proof = api.get("/proof/consistency", **{"from": old["size"], "to": new["size"]})
            assert merkle.verify_consistency(
                first=old["size"],
                second=new["size"],
                first_root=b64decode(old["root_hash"]),
                second_root=b64decode(new["root_hash"]),
                proof=hashes(proof.json()),
            )


def test_a_foreign_library_reads_the_same_log(api: AuditApi, cast: Cast) -> None:
    record_many(40, cast.hive.pk)
    seal()
    old = api.get("/checkpoint").json()
    record_many(25, cast.hive.pk)
    seal()
    new = api.get("/checkpoint").json()
    tree = InmemoryTree(algorithm="sha256")
    for index in range(new["size"]):
        proof = api.get("/proof/inclusion", leaf_index=str(index)).json()
        tree.append_entry(proof["leaf_data"].encode())
    assert tree.get_root(new["size"]) == b64decode(new["root_hash"])
    assert tree.get_root(old["size"]) == b64decode(old["root_hash"])
    tree.prove_consistency(old["size"], new["size"]).verify(
        b64decode(old["root_hash"]), b64decode(new["root_hash"])
    )
    for index in (0, 41, new["size"] - 1):
        ours = api.get("/proof/inclusion", leaf_index=str(index)).json()
        theirs = tree.prove_inclusion(index + 1, new["size"]).path
        assert [b64decode(ours["leaf_hash"]), *hashes(ours)] == theirs


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("/checkpoint", {"sise": "1"}, "sise"),
        ("/checkpoint", {"size": "-1"}, "size"),
        ("/checkpoint", {"size": "9" * 30}, "size"),
        ("/proof/inclusion", {}, "entry_id"),
        ("/proof/inclusion", {"entry_id": "0199"}, "entry_id"),
        ("/proof/inclusion", {"leaf_index": "0", "entry_id": str(new_id())}, "leaf_index"),
        ("/proof/inclusion", {"leaf_index": "1", "size": "1"}, "size"),
        ("/proof/inclusion", {"leaf_index": "0", "size": "0"}, "size"),
        ("/proof/inclusion", {"leaf_index": "0", "size": "99999"}, "size"),
        ("/proof/consistency", {"from": "1"}, "to"),
        ("/proof/consistency", {"to": "1"}, "from"),
        ("/proof/consistency", {"from": "2", "to": "1"}, "from"),
        ("/proof/consistency", {"from": "1", "to": "99999"}, "to"),
        ("/proof/consistency", {"from": "a", "to": "1"}, "from"),
    ],
)
def test_what_cannot_be_proven_is_refused_by_name(
    api: AuditApi, cast: Cast, path: str, query: dict[str, str], field: str
) -> None:
    leave_waiting(5, cast.hive.pk)
    seal()
    response = api.get(path, **query)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_an_entry_that_is_not_sealed_has_no_proof_yet(api: AuditApi, cast: Cast) -> None:
    seal()
    (entry_id,) = record_many(1, cast.hive.pk)
    assert api.get("/proof/inclusion", entry_id=str(entry_id)).status_code == 404


def test_charlie_gets_404_for_an_entry_of_hive(charlies: AuditApi, cast: Cast) -> None:
    (entry_id,) = record_many(1, cast.hive.pk)
    seal()
    assert charlies.get("/proof/inclusion", entry_id=str(entry_id)).status_code == 404


@pytest.mark.parametrize(
    "path", ["/checkpoint", "/proof/inclusion?leaf_index=0", "/proof/consistency?from=1&to=1"]
)
def test_they_refuse_without_scope(cast: Cast, path: str) -> None:
    response = AuditApi(cast.hive, "keys:read").get(path)
    assert (response.status_code, response.json()["name"]) == (403, "insufficient_scope")


def test_old_proofs_hold_when_more_is_published(api: AuditApi, cast: Cast) -> None:
    record_many(1, cast.hive.pk)
    seal()
    old = api.get("/checkpoint").json()
    proof = api.get("/proof/inclusion", leaf_index="0").json()
    with as_role("worker"):
        publication.publish_due(now=timezone.now() + timedelta(hours=1))
    leave_waiting(1000, cast.hive.pk)
    seal()
    assert api.get("/proof/inclusion", leaf_index="0", size=str(old["size"])).json() == proof
