from accounts.roles import MEANINGS, RIGHTS, SUMMARIES, Right, Role


def test_every_role_and_right_is_explained() -> None:
    assert set(RIGHTS) == set(SUMMARIES) == set(Role)
    assert set(MEANINGS) == set(Right)


def test_only_an_owner_closes_the_account_and_names_owners() -> None:
    for right in (Right.ACCOUNT_CLOSE, Right.OWNERS_WRITE):
        assert [role for role in Role if right in RIGHTS[role]] == [Role.OWNER]


def test_compliance_reads_the_record_but_no_keys_and_no_contents() -> None:
    rights = RIGHTS[Role.COMPLIANCE]
    assert {Right.AUDIT_READ, Right.AUDIT_EXPORT, Right.MESSAGES_READ} <= rights
    assert not rights & {Right.KEYS_READ, Right.KEYS_WRITE, Right.BODIES_READ}


def test_a_viewer_changes_nothing() -> None:
    assert not [right for right in RIGHTS[Role.VIEWER] if right.endswith(":write")]
