"""Where allauth asks us: who may sign up, from where a request came, how secrets rest."""

import base64
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.http import HttpRequest

from accounts import sign_in_audit
from accounts.people import origin_of
from accounts.stepup import is_freshly_confirmed
from queensmtp import crypto
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False  # People come by invitation; an operator makes the first account.

    def get_client_ip(self, request: HttpRequest) -> str:
        return str(origin_of(request).ip)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """One rule for allauth's pages and ours: the sign-in itself counts for a while."""
        return not is_freshly_confirmed(context.request)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        sign_in_audit.record_failure(request, email=str(credentials.get("email") or ""))


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    # allauth gives no row at this point, so the associated data names the column alone.
    def encrypt(self, text: str) -> str:
        sealed = crypto.encrypt(
            text.encode(), account_id=PLATFORM_ACCOUNT_ID, table="mfa_authenticator", column="data"
        )
        return base64.b64encode(sealed).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.decrypt(
            base64.b64decode(encrypted_text),
            account_id=PLATFORM_ACCOUNT_ID,
            table="mfa_authenticator",
            column="data",
        ).decode()
