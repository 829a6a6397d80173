from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import notices
from accounts.audit import Event
from accounts.errors import (
    AlreadyInvited,
    AlreadyMember,
    HasSignIn,
    InvitationEnded,
    LastOwner,
    MayNotChange,
    MoreThanOwn,
    NoMember,
    NotInvited,
    OwnersOnly,
    TooManyInvitations,
)
from accounts.invitations import LASTS
from accounts.models import Account, Invitation, Membership, User
from accounts.people import actor_of
from accounts.plans import Plan
from accounts.roles import Right, Role
from auditlog import actions as auditlog
from auditlog import retention
from queensmtp.actors import Actor, Origin, Target
from queensmtp.tenancy import tenant

INVITATIONS_A_DAY = 50


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
def change_plan(*, account: Account, plan: Plan, by: Actor) -> None:
    """What the plan gives of the audit log is carried over by `accounts.plan_days`."""
    before = Account.objects.select_for_update().get(pk=account.pk).plan
    if before == plan:
        return
    account.plan = plan.value
    account.save(update_fields=["plan"])
    auditlog.record(
        by=by,
        event=Event.PLAN_CHANGED,
        target=_account_target(account),
        changes={"plan": {"before": before, "after": plan.value}},
    )


@transaction.atomic
def add_member(
    *, account: Account, user: User, role: Role, by: Actor, by_membership: Membership | None = None
) -> Membership:
    _check_rights(by_membership, None, role)
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
    _check_rights(by_membership, before, role)
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
    _check_rights(by_membership, membership.role, None)
    if membership.is_owner:
        _keep_an_owner(membership)
    auditlog.record(
        by=by,
        event=Event.MEMBER_REMOVED,
        target=_person_target(membership.user),
        changes={"role": {"before": membership.role, "after": None}},
    )
    membership.delete()


@transaction.atomic
def invite(*, email: str, role: Role, by: Actor, by_membership: Membership) -> Invitation:
    """Offer a place in the account to an address; a letter with the link leaves after this."""
    email, now = email.strip().lower(), timezone.now()
    # The account's row is the lock of its invitations, too.
    account = Account.objects.select_for_update().get(pk=by_membership.account_id)
    giver = Membership.objects.filter(pk=by_membership.pk).first()
    if giver is None or not giver.can_give(role):
        raise MoreThanOwn
    if account.memberships.filter(user__email=email).exists():
        raise AlreadyMember
    if account.invitations.standing(now).filter(email=email).exists():
        raise AlreadyInvited
    if account.invitations.filter(created_at__gt=now - timedelta(days=1)).count() >= (
        INVITATIONS_A_DAY
    ):
        raise TooManyInvitations
    invitation = account.invitations.create(
        email=email, role=role.value, invited_by_id=by_membership.user_id, expires_at=now + LASTS
    )
    notices.invite(invitation=invitation)
    auditlog.record(
        by=by,
        event=Event.MEMBER_INVITED,
        target=_invitation_target(invitation),
        changes={"role": {"before": None, "after": role.value}},
    )
    return invitation


@transaction.atomic
def withdraw_invitation(*, invitation: Invitation, by: Actor) -> None:
    _end(invitation)
    auditlog.record(by=by, event=Event.INVITATION_WITHDRAWN, target=_invitation_target(invitation))


@transaction.atomic
def accept_invitation(*, invitation: Invitation, user: User, origin: Origin) -> Membership:
    """Take the offered place, once, and only while who offered it could still give it."""
    if user.email != invitation.email:
        raise NotInvited
    # Taken in turns with a change of the inviter's role, which locks the same row.
    Account.objects.select_for_update().get(pk=invitation.account_id)
    _end(invitation)
    inviter = Membership.objects.filter(
        account=invitation.account_id, user=invitation.invited_by_id
    ).first()
    role = Role(invitation.role)
    if inviter is None or not inviter.can_give(role):
        raise InvitationEnded
    membership, is_new = Membership.objects.get_or_create(
        account_id=invitation.account_id, user=user, defaults={"role": role}
    )
    if not is_new:
        raise AlreadyMember
    _record_joining(invitation, user, origin)
    return membership


@transaction.atomic
def accept_as_new_person(
    *, invitation: Invitation, password: str, name: str, origin: Origin
) -> Membership:
    """Make a sign-in for the invited address, whose holder has just shown that it is theirs."""
    try:
        with transaction.atomic():
            user = User.objects.create_user(invitation.email, password, name=name)
    except IntegrityError:
        raise HasSignIn from None
    return accept_invitation(invitation=invitation, user=user, origin=origin)


def _end(invitation: Invitation) -> None:
    now = timezone.now()
    if not Invitation.objects.standing(now).filter(pk=invitation.pk).update(ended_at=now):
        raise InvitationEnded


def _record_joining(invitation: Invitation, user: User, origin: Origin) -> None:
    changes: dict[str, Any] = {
        "role": {"before": None, "after": invitation.role},
        "invitation": str(invitation.pk),
        "invited_by": str(invitation.invited_by_id),
    }
    auditlog.record(
        by=actor_of(user, account_id=invitation.account_id, origin=origin),
        event=Event.MEMBER_ADDED,
        target=_person_target(user),
        changes=changes,
    )


def _locked(membership: Membership) -> Membership:
    # The account's row is the lock of its member list: two owners who leave at the same moment
    # take turns, and the second one is refused.
    Account.objects.select_for_update().get(pk=membership.account_id)
    found = Membership.objects.select_related("user").filter(pk=membership.pk).first()
    if found is None:
        raise NoMember
    return found


def _keep_an_owner(leaving: Membership) -> None:
    others = Membership.objects.owners().filter(account=leaving.account_id).exclude(pk=leaving.pk)
    if not others.exists():
        raise LastOwner


def _check_rights(by: Membership | None, before: str | None, after: str | None) -> None:
    """Those of this moment, under the lock: they may have changed since the page was opened.

    Without `by` the actor is the system: a seed or an operator's command.
    """
    if by is None:
        return
    giver = Membership.objects.filter(pk=by.pk).first()
    if giver is None or not giver.has(Right.MEMBERS_WRITE):
        raise MayNotChange
    if Role.OWNER in (before, after) and not giver.has(Right.OWNERS_WRITE):
        raise OwnersOnly


def _account_target(account: Account) -> Target:
    return Target(type="account", id=str(account.pk), label=account.name)


def _person_target(user: User) -> Target:
    return Target(type="user", id=str(user.pk), label=user.email)


def _invitation_target(invitation: Invitation) -> Target:
    return Target(type="invitation", id=str(invitation.pk), label=invitation.email)
