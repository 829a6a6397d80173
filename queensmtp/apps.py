from django.apps import AppConfig
from django.conf import settings
from django.db.backends.signals import connection_created


class QueenSmtpConfig(AppConfig):
    name = "queensmtp"

    def ready(self) -> None:
        """Web processes ring bells: every thread must find our Celery app, not a blank one."""
        from queensmtp import hot, together
        from queensmtp.celery import app

        app.set_default()
        if settings.PROCESS == "web":
            connection_created.connect(hot.plan_once)
            connection_created.connect(together.wait_briefly)
