"""Checks an export of the audit log with none of QueenSMTP's code: pymerkle and cryptography only.

    pip install pymerkle cryptography
    python check_with_pymerkle.py KEY EXPORT.jsonl [OLDER.jsonl CONSISTENCY.json]

KEY is the base64 of the log's public key. The export was made with proofs. For two exports, the
answer of `GET /v1/audit-log/proof/consistency?from=…&to=…` says that one log continues the other.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InclusionProof
from pymerkle.core import _inclusion_path_layout
from pymerkle.hasher import MerkleHasher

# RFC 6962: SHA-256, with a prefix that tells leaves from nodes.
OPTIONS = {"algorithm": "sha256", "security": True}


def read_checkpoint(note, public_key):
    """Return size and root of a C2SP checkpoint whose log's signature is good."""
    text, _, signatures = note.partition("\n\n")
    origin, size, root = text.split("\n")
    signed = (text + "\n").encode()
    for line in signatures.strip().split("\n"):
        _, name, encoded = line.split(" ")
        if name == origin:
            # Four bytes of key id stand before the signature.
            Ed25519PublicKey.from_public_bytes(public_key).verify(
                base64.b64decode(encoded)[4:], signed
            )
            return int(size), base64.b64decode(root)
    raise ValueError("the log has not signed its checkpoint")


def check_export(path, public_key):
    """Prove each entry of an export; return its checkpoint."""
    hasher = MerkleHasher(**OPTIONS)
    with open(path, encoding="utf-8") as file:
        header = json.loads(next(file))
        size, root = read_checkpoint(header["checkpoint"]["note"], public_key)
        count = 0
        for line in file:
            entry = json.loads(line)
            if entry["object"] == "audit_export_end":
                assert entry["rows"] == count, "entries are missing"
                break
            leaf = hasher.hash_buff(entry["leaf_data"].encode())
            index = entry["leaf_index"] + 1
            rule, _ = _inclusion_path_layout(index, size)
            hashes = [base64.b64decode(each) for each in entry["hashes"]]
            proof = InclusionProof(
                **OPTIONS, size=size, index=index, rule=rule, path=[leaf, *hashes]
            )
            proof.verify(leaf, root, index=index, size=size)
            check_fields(entry, header["account_id"])
            count += 1
        else:
            raise ValueError("the file was cut off")
    print(f"{path}: {count} entries are in the log of {size} leaves, root {root.hex()}")
    return size, root


def check_fields(entry, account_id):
    """Hold what the entry shows against the leaf that was proven."""
    leaf = json.loads(entry["leaf_data"])
    assert leaf["account_id"] == account_id, "another account's leaf"
    for name in ("id", "created_at", "event", "outcome", "key_id", "request_id", "labels", "count"):
        assert leaf[name] == entry[name], f"{entry['id']}: {name}"
    if entry["salt"] is None:
        return
    target = entry["target"]
    personal = {
        "actor_label": entry["actor"]["label"],
        "target_label": target["label"] if target else "",
        **{name: entry[name] for name in ("ip", "user_agent", "client_request_id", "changes")},
    }
    # RFC 8785 for what has no fractions and no names beyond the basic plane.
    text = json.dumps(personal, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    committed = hashlib.sha256(base64.b64decode(entry["salt"]) + text.encode()).digest()
    assert committed == base64.b64decode(leaf["private_hash"]), f"{entry['id']}: personal fields"


def check_consistency(older, newer, path):
    """Prove that the newer log begins with the whole older one.

    pymerkle lays out consistency proofs in a way of its own where the older size is one of the
    tree's joints, so the steps of RFC 9162, 2.1.4.2 are taken here, with pymerkle's hashes.
    """
    (first, first_root), (second, second_root) = older, newer
    with open(path, encoding="utf-8") as file:
        hashes = [base64.b64decode(each) for each in json.load(file)["hashes"]]
    if first == second:
        assert not hashes and first_root == second_root, "two roots for one size"
        return
    pair = MerkleHasher(**OPTIONS).hash_pair
    if first & (first - 1) == 0:
        hashes.insert(0, first_root)
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = hashes[0]
    for c in hashes[1:]:
        assert sn, "the proof is too long"
        if fn & 1 or fn == sn:
            fr, sr = pair(c, fr), pair(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = pair(sr, c)
        fn, sn = fn >> 1, sn >> 1
    assert (fr, sr, sn) == (first_root, second_root, 0), "the two logs are not one history"
    print(f"the log of {second} leaves begins with the log of {first}")


def main(key, export, older=None, consistency=None):
    public_key = base64.b64decode(key)
    newer_checkpoint = check_export(export, public_key)
    if older is not None:
        check_consistency(check_export(older, public_key), newer_checkpoint, consistency)


if __name__ == "__main__":
    main(*sys.argv[1:])
