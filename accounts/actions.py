from dataclasses import replace

from django.db import transaction

from accounts.audit import Event
from accounts.errors import AlreadyMember, LastOwner, OwnersOnly
from accounts.models import Account, Membership, User
from accounts.plans import Plan
from accounts.roles import Right, Role
from auditlog import actions as auditlog
from auditlog import retention
from queensmtp.actors import Actor, Target
from queensmtp.tenancy import tenant


def create_account(*, name: str, owner: User, by: Actor, plan: Plan = Plan.COMMUNITY) -> Account:
    account = Account(name=name, plan=plan.value)
    with tenant(account.id):
        account.save(force_insert=True)
        retention.begin(account_id=account.id, plan_days=account.terms.audit_retention_days)
        Membership.objects.create(account=account, user=owner, role=Role.OWNER)
        auditlog.record(
            by=replace(by, account_id=account.id),
            event=Event.ACCOUNT_CREATED,
            target=_account_target(account),
            changes={
                "name": {"before": None, "after": name},
                "plan": {"before": None, "after": plan.value},
                "owner": {"before": None, "after": str(owner.pk)},
            },
        )
    return account


@transaction.atomic
def add_member(
    *, account: Account, user: User, role: Role, by: Actor, by_membership: Membership | None = None
) -> Membership:
    _check_owner_rule(by_membership, None, role)
    membership, created = Membership.objects.get_or_create(
        account=account, user=user, defaults={"role": role}
    )
    if not created:
        raise AlreadyMember
    auditlog.record(
        by=by,
        event=Event.MEMBER_ADDED,
        target=_person_target(user),
        changes={"role": {"before": None, "after": role.value}},
    )
    return membership


@transaction.atomic
def change_role(
    *, membership: Membership, role: Role, by: Actor, by_membership: Membership | None = None
) -> Membership:
    membership = _locked(membership)
    before = membership.role
    _check_owner_rule(by_membership, before, role)
    if before == Role.OWNER and role != Role.OWNER:
        _keep_an_owner(membership)
    membership.role = role.value
    membership.save(update_fields=["role"])
    auditlog.record(
        by=by,
        event=Event.MEMBER_ROLE_CHANGED,
        target=_person_target(membership.user),
        changes={"role": {"before": before, "after": role.value}},
    )
    return membership


@transaction.atomic
def remove_member(
    *, membership: Membership, by: Actor, by_membership: Membership | None = None
) -> None:
    membership = _locked(membership)
    _check_owner_rule(by_membership, membership.role, None)
    if membership.is_owner:
        _keep_an_owner(membership)
    auditlog.record(
        by=by,
        event=Event.MEMBER_REMOVED,
        target=_person_target(membership.user),
        changes={"role": {"before": membership.role, "after": None}},
    )
    membership.delete()


def _locked(membership: Membership) -> Membership:
    # The account's row is the lock of its member list: two owners who leave at the same moment
    # take turns, and the second one is refused.
    Account.objects.select_for_update().get(pk=membership.account_id)
    return Membership.objects.select_related("user").get(pk=membership.pk)


def _keep_an_owner(leaving: Membership) -> None:
    others = Membership.objects.owners().filter(account=leaving.account_id).exclude(pk=leaving.pk)
    if not others.exists():
        raise LastOwner


def _check_owner_rule(by: Membership | None, before: str | None, after: str | None) -> None:
    """Without `by` the actor is the system: a seed or an operator's command."""
    if by is not None and Role.OWNER in (before, after) and not by.has(Right.OWNERS_WRITE):
        raise OwnersOnly


def _account_target(account: Account) -> Target:
    return Target(type="account", id=str(account.pk), label=account.name)


def _person_target(user: User) -> Target:
    return Target(type="user", id=str(user.pk), label=user.email)
