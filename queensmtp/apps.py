from django.apps import AppConfig


class QueenSmtpConfig(AppConfig):
    name = "queensmtp"

    def ready(self) -> None:
        """Web processes ring bells: every thread must find our Celery app, not a blank one."""
        from queensmtp.celery import app

        app.set_default()
