from enum import StrEnum


class Event(StrEnum):
    ACCOUNT_CREATED = "account.created"
    MEMBER_INVITED = "member.invited"
    INVITATION_WITHDRAWN = "member.invitation_withdrawn"
    PLAN_CHANGED = "account.plan_changed"
    MEMBER_ADDED = "member.added"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    SIGNED_IN = "user.signed_in"
    SIGN_IN_FAILED = "user.sign_in_failed"
    SIGNED_OUT = "user.signed_out"
    IDENTITY_CONFIRMED = "user.identity_confirmed"
    PASSWORD_CHANGED = "user.password_changed"
    PASSWORD_RESET = "user.password_reset"
    MFA_ADDED = "user.mfa_added"
    MFA_REMOVED = "user.mfa_removed"
    MFA_FAILED = "user.mfa_failed"
    RECOVERY_CODES_RENEWED = "user.recovery_codes_renewed"
    RECOVERY_CODES_SHOWN = "user.recovery_codes_shown"
    ACCOUNT_ENTERED = "user.account_entered"
    PROFILE_CHANGED = "user.profile_changed"
    ACCESS_REFUSED = "user.access_refused"


SENTENCES: dict[str, str] = {
    Event.ACCOUNT_CREATED: "created the account {target}",
    Event.MEMBER_INVITED: "invited {target}",
    Event.INVITATION_WITHDRAWN: "withdrew the invitation of {target}",
    Event.PLAN_CHANGED: "put the account {target} on another plan",
    Event.MEMBER_ADDED: "added {target} as a member",
    Event.MEMBER_ROLE_CHANGED: "changed the role of {target}",
    Event.MEMBER_REMOVED: "removed {target} from the account",
    Event.SIGNED_IN: "signed in",
    Event.SIGN_IN_FAILED: "failed to sign in",
    Event.SIGNED_OUT: "signed out",
    Event.IDENTITY_CONFIRMED: "confirmed their identity",
    Event.PASSWORD_CHANGED: "changed their password",
    Event.PASSWORD_RESET: "reset their password",
    Event.MFA_ADDED: "added a second factor",
    Event.MFA_REMOVED: "removed a second factor",
    Event.MFA_FAILED: "failed the second factor",
    Event.RECOVERY_CODES_RENEWED: "renewed their recovery codes",
    Event.RECOVERY_CODES_SHOWN: "looked at their recovery codes for the first time",
    Event.PROFILE_CHANGED: "changed their name or time zone",
    Event.ACCOUNT_ENTERED: "switched to the account {target}",
    Event.ACCESS_REFUSED: "was refused {target}, which their role does not open",
}
