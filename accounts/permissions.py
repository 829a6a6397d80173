from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse
from django.shortcuts import render

from accounts.errors import RightRefused
from accounts.requests import ConsoleRequest
from accounts.roles import Right


def check_right(request: ConsoleRequest, right: str) -> HttpResponse | None:
    """None when the person's role has the right; else the page to answer with, or RightRefused."""
    wanted = Right(right)
    if not request.is_signed_in:
        return redirect_to_login(request.get_full_path())
    if request.membership is None:
        return render(request, "accounts/no_account.html", status=403)
    if not request.membership.has(wanted):
        raise RightRefused(wanted)
    return None
