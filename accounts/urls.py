from allauth.account import views as account_views
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from accounts import invitation_views, member_views, views

# allauth's pages, one by one: what is not named here does not exist.
sign_in_urlpatterns = [
    path("login/", account_views.login, name="account_login"),
    path("logout/", account_views.logout, name="account_logout"),
    path("inactive/", account_views.account_inactive, name="account_inactive"),
    path("signup/", account_views.signup, name="account_signup"),
    path("reauthenticate/", account_views.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account_views.password_change, name="account_change_password"),
    path("password/set/", account_views.password_set, name="account_set_password"),
    path("password/reset/", account_views.password_reset, name="account_reset_password"),
    path(
        "password/reset/done/",
        account_views.password_reset_done,
        name="account_reset_password_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account_views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        account_views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("invitation/<str:token>", invitation_views.invitation, name="invitation"),
    path("2fa/", include("allauth.mfa.urls")),
    path("sessions/", include("allauth.usersessions.urls")),
]

console_urlpatterns = [
    path("", RedirectView.as_view(pattern_name="console_home")),
    path("accounts/", include(sign_in_urlpatterns)),
    path("console/people", views.people, name="console_people"),
    path("console/people/invite", invitation_views.invite, name="console_invite"),
    path(
        "console/people/invitations/<uuid:invitation_id>/withdraw",
        invitation_views.withdraw_invitation,
        name="console_withdraw_invitation",
    ),
    path("console/people/<uuid:membership_id>", member_views.change_role, name="console_member"),
    path(
        "console/people/<uuid:membership_id>/remove",
        member_views.remove,
        name="console_remove_member",
    ),
    path("console/profile", views.profile, name="console_profile"),
    path("console/switch-account", views.switch_account, name="console_switch_account"),
    path("console/theme", views.theme, name="console_theme"),
]
