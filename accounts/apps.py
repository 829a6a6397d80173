from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts and people"

    def ready(self) -> None:
        from accounts import sign_in_audit  # noqa: F401 - connects allauth's signals
