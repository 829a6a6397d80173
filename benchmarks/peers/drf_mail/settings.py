"""What a developer would write instead: DRF, djangorestframework-api-key and the ORM.

Tuned as far as settings go: kept connections, no middleware that it does not need, no throttle.
"""

from queensmtp import configuration

# Signs nothing here.
SECRET_KEY = "a benchmark has no sessions"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "rest_framework_api_key",
    "benchmarks.peers.drf_mail",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "benchmarks.peers.drf_mail.urls"
WSGI_APPLICATION = "benchmarks.peers.drf_mail.wsgi.application"
DATABASES = {
    "default": {
        **configuration.database("PEER_DATABASE_URL"),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework_api_key.permissions.HasAPIKey"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
