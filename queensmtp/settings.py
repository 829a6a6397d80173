"""All settings, in sections. Each is documented in docs/settings.md."""

import os
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from queensmtp import configuration as read

BASE_DIR = Path(__file__).resolve().parent.parent

# --- Mode --------------------------------------------------------------------------------------

MODE = read.choice("QUEENSMTP_MODE", options=("production", "embedded"), default="production")
PROCESS = read.choice("QUEENSMTP_PROCESS", options=("web", "worker", "owner"), default="web")
DEBUG = False
PORT_BASE = read.number("QUEENSMTP_PORT_BASE", default=8000)
WEB_PROCESSES = read.number("WEB_PROCESSES", default=2, at_least=1)

# --- Secrets -----------------------------------------------------------------------------------

SECRET_KEY = read.secret("SECRET_KEY")
# Workers never see a key, and are not given what its digest is made with.
KEY_PEPPERS = read.numbered_keys("KEY_PEPPERS") if PROCESS == "web" else []
ENCRYPTION_KEYS = read.numbered_keys("ENCRYPTION_KEYS")
# Return paths and the links in mails.
LINK_KEYS = read.numbered_keys("LINK_KEYS")
# Whoever scrapes `/metrics`.
METRICS_TOKEN = read.optional_secret("METRICS_TOKEN") if PROCESS == "web" else ""
# Only the sealer is given this one.
AUDIT_SIGNING_KEY = read.optional_secret("AUDIT_SIGNING_KEY")
AUDIT_PUBLIC_KEY = os.environ.get("AUDIT_PUBLIC_KEY", "")
AUDIT_LOG_HOST = os.environ.get("AUDIT_LOG_HOST", "localhost")
AUDIT_MEMORY_FILE = os.environ.get("AUDIT_MEMORY_FILE", "")
AUDIT_CHECKPOINTS_FILE = os.environ.get("AUDIT_CHECKPOINTS_FILE", "")
AUDIT_WITNESS_URL = os.environ.get("AUDIT_WITNESS_URL", "")
AUDIT_WITNESS_KEY = os.environ.get("AUDIT_WITNESS_KEY", "")

# --- Database ----------------------------------------------------------------------------------

_DATABASE_OF_PROCESS = {
    "web": "DATABASE_URL",
    "worker": "DATABASE_WORKER_URL",
    "owner": "DATABASE_OWNER_URL",
}

DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        **read.database(_DATABASE_OF_PROCESS[PROCESS]),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"prepare_threshold": 5},
        "TEST": {"NAME": os.environ.get("TEST_DATABASE_NAME", "test_queensmtp")},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Valkey or Redis, and Celery ---------------------------------------------------------------

REDIS_URL = os.environ.get("REDIS_URL", "")
if not REDIS_URL.startswith(("unix://", "redis://", "rediss://")):
    raise ImproperlyConfigured(
        "REDIS_URL must begin with redis://, rediss:// or unix:// "
        "(`make up` starts an embedded one)."
    )

# Sign-in throttles count here; without Valkey they count in this process.
CACHES = {
    "default": {
        "BACKEND": "accounts.throttle_cache.ThrottleCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}

# Over a socket Celery wants `redis+socket:///path`, redis-py `unix:///path`.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 5, "socket_connect_timeout": 1}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_TASK_ROUTES = {
    "sending.tasks.*": {"queue": "send"},
    "sending.tasks.drop_contents": {"queue": "records"},
    "webhooks.tasks.*": {"queue": "webhooks"},
    "auditlog.tasks.*": {"queue": "records"},
    # Only the worker of this queue can sign.
    "auditlog.tasks.seal": {"queue": "audit"},
    "queensmtp.tasks.*": {"queue": "send"},
    "queensmtp.tasks.measure": {"queue": "records"},
    "apikeys.tasks.*": {"queue": "send"},
    "accounts.tasks.*": {"queue": "send"},
    "domains.tasks.*": {"queue": "records"},
}
CELERY_BEAT_SCHEDULE = {
    "partitions": {"task": "queensmtp.tasks.make_partitions", "schedule": 6 * 3600.0},
    "idempotency": {"task": "sending.tasks.forget_idempotency", "schedule": 3600.0},
    "destinations": {"task": "sending.tasks.forget_destinations", "schedule": 3600.0},
    "quotas": {"task": "sending.tasks.forget_quotas", "schedule": 6 * 3600.0},
}
# What each worker looks for by itself, whatever Valkey remembers: queue → (task, seconds).
SWEEPS = {
    "send": [
        ("sending.tasks.deliver_due", 2.0),
        ("sending.tasks.cancel_of_ended_keys", 10.0),
        ("queensmtp.tasks.make_partitions", 6 * 3600.0),
        ("apikeys.tasks.record_wrong_secrets", 10.0),
        ("accounts.tasks.send_notices", 5.0),
        ("accounts.tasks.tell_of_exports", 15.0),
        ("accounts.tasks.tell_of_log_alarms", 15.0),
        ("accounts.tasks.tell_of_log_settings", 60.0),
    ],
    "webhooks": [
        ("webhooks.tasks.deliver_due", 2.0),
        ("webhooks.tasks.tell_of_checkpoints", 5.0),
    ],
    "audit": [("auditlog.tasks.seal", 0.5)],
    "records": [
        ("auditlog.tasks.index_segments", 5.0),
        ("auditlog.tasks.export_due", 5.0),
        ("auditlog.tasks.cosign_due", 2.0),
        ("auditlog.tasks.expire_exports", 600.0),
        ("auditlog.tasks.push_streams", 2.0),
        ("auditlog.tasks.erase_due", 10.0),
        ("sending.tasks.drop_contents", 60.0),
        ("auditlog.tasks.prune_due", 3600.0),
        ("accounts.tasks.carry_plan_days", 60.0),
        ("apikeys.tasks.gather_use", 5.0),
        ("apikeys.tasks.remind_of_expiry", 300.0),
        ("apikeys.tasks.compare_rows", 900.0),
        ("domains.tasks.check_due", 2.0),
        ("sending.tasks.warn_of_quotas", 60.0),
        ("queensmtp.tasks.measure", 15.0),
    ],
}

# What `/metrics` tells of tables: each measured by a worker, and all of it shown together.
MEASUREMENTS = [
    "auditlog.measures.now_unsealed",
    "webhooks.measures.now_pending",
    "domains.measures.now_standing",
    "sending.measures.now_queued",
]

# --- Applications and middleware ---------------------------------------------------------------

INSTALLED_APPS = [
    "queensmtp",
    "auditlog",
    "accounts",
    "webhooks",
    "apikeys",
    "domains",
    "contacts",
    "sending",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.forms",
    "rest_framework",
    "drf_spectacular",
    "csp",
]

MIDDLEWARE = [
    "queensmtp.middleware.RequestContext",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "sending.middleware.TrackingHosts",
    "auditlog.middleware.RequestAudit",
    "sending.middleware.SendShortcut",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "accounts.middleware.ConsoleTenant",
]

ROOT_URLCONF = "queensmtp.urls"
WSGI_APPLICATION = "queensmtp.wsgi.application"
APPEND_SLASH = False

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.context.console",
                "domains.context.sending_domains",
            ],
        },
    }
]

STATIC_URL = "/static/"
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT", BASE_DIR / "var" / "static"))
STATICFILES_DIRS = [BASE_DIR / "static"]

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- HTTP --------------------------------------------------------------------------------------

CONSOLE_URL = os.environ.get("CONSOLE_URL", f"https://localhost:{PORT_BASE + 443}")
ALLOWED_HOSTS = read.environment.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [CONSOLE_URL]
TRUSTED_PROXIES = read.networks("TRUSTED_PROXIES")
# Attachments come as base64 inside JSON; the message limit itself is MESSAGE_MAX_BYTES.
DATA_UPLOAD_MAX_MEMORY_SIZE = read.number("REQUEST_MAX_BYTES", default=60 * 1024 * 1024)
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME = "__Host-session"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "queensmtp.error_views.csrf_failure"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
# A wrong HSTS entry for localhost would outlive the demo in the visitor's browser.
SECURE_HSTS_SECONDS = 0 if MODE != "production" else 365 * 24 * 3600
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "object-src": ["'none'"],
    }
}

# --- REST --------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apikeys.authentication.ApiKeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apikeys.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["queensmtp.wire.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": ["queensmtp.wire.StrictJsonParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "queensmtp.wire.AlwaysJson",
    "DEFAULT_SCHEMA_CLASS": "queensmtp.api_document.ApiSchema",
    "EXCEPTION_HANDLER": "queensmtp.api.render_error",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "QueenSMTP",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/v1",
    "SERVE_INCLUDE_SCHEMA": False,
}

# --- Keys --------------------------------------------------------------------------------------

KEY_RATE_REQUESTS = read.number("KEY_RATE_REQUESTS", default=100, at_least=1)
KEY_RATE_BURST = read.number("KEY_RATE_BURST", default=500, at_least=1)
FAILED_AUTHENTICATIONS_PER_MINUTE = read.number(
    "FAILED_AUTHENTICATIONS_PER_MINUTE", default=600, at_least=1
)
# Who may sign reports to /v1/leaked-keys/github.
GITHUB_SECRET_SCANNING_KEYS = read.signing_keys("GITHUB_SECRET_SCANNING_KEYS")

# --- Sending -----------------------------------------------------------------------------------

# Recipients that an account may write to, by its plan; a plan that is not named has no quota.
PLANS = ("community", "team", "enterprise")
DAILY_QUOTAS = read.counts("DAILY_QUOTAS", of=PLANS)
MONTHLY_QUOTAS = read.counts("MONTHLY_QUOTAS", of=PLANS)

MESSAGE_MAX_BYTES = read.number("MESSAGE_MAX_BYTES", default=40 * 1024 * 1024, at_least=1)
RECIPIENTS_MAX = read.number("RECIPIENTS_MAX", default=50, at_least=1)
BATCH_MAX = read.number("BATCH_MAX", default=100, at_least=1)
if BATCH_MAX > 1_000:
    raise ImproperlyConfigured("BATCH_MAX is over 1000: set it to 1000 or less.")
MESSAGE_CONTENT_DAYS = read.number("MESSAGE_CONTENT_DAYS", default=30, at_least=0)
ATTACHMENT_LINK_SECONDS = read.number("ATTACHMENT_LINK_SECONDS", default=3_600, at_least=1)
IDEMPOTENCY_HOURS = read.number("IDEMPOTENCY_HOURS", default=24, at_least=1)
HELO_NAME = os.environ.get("HELO_NAME", "localhost")
RETURN_PATH_HOST = os.environ.get("RETURN_PATH_HOST", "bounces.localhost")
# The address at which links in mails are answered. It is a name of this server.
LINKS_URL = os.environ.get("LINKS_URL", CONSOLE_URL).rstrip("/")
# Where reports are taken: base+26, which the MX of RETURN_PATH_HOST must lead to.
BOUNCES_HOST = os.environ.get("BOUNCES_HOST", "127.0.0.1")
# The address that is registered for feedback loops, and who reads mail to postmaster and abuse.
FEEDBACK_ADDRESS = os.environ.get("FEEDBACK_ADDRESS", f"fbl@{RETURN_PATH_HOST}").lower()
OPERATOR_ADDRESS = os.environ.get("OPERATOR_ADDRESS", "")
if OPERATOR_ADDRESS.lower().endswith(f"@{RETURN_PATH_HOST.lower()}"):
    raise ImproperlyConfigured(
        "OPERATOR_ADDRESS is at RETURN_PATH_HOST, whose mail it is to get: "
        "set it to a mailbox elsewhere."
    )
# Where SMTP submission listens: implicit TLS on base+465, STARTTLS on base+587.
SMTP_HOST = os.environ.get("SMTP_HOST", "127.0.0.1")
SMTP_STARTTLS = read.flag("SMTP_STARTTLS", default=True)

# What is written to this domain never leaves: its addresses behave as their word says.
SANDBOX_DOMAIN = os.environ.get("SANDBOX_DOMAIN", "sandbox.example")
DELIVERY_TRANSPORT = read.choice(
    "DELIVERY_TRANSPORT", options=("inbox", "relay", "mx"), default="mx"
)
RELAY_URL = read.optional_secret("RELAY_URL")
if DELIVERY_TRANSPORT == "relay" and not RELAY_URL:
    raise ImproperlyConfigured(
        "DELIVERY_TRANSPORT is relay but RELAY_URL is not set: "
        "set it like smtp+starttls://user:password@mail.example:587."
    )
DELIVERY_CONNECTIONS = read.number("DELIVERY_CONNECTIONS", default=16, at_least=1)
DELIVERY_CONNECTIONS_PER_DESTINATION = read.number(
    "DELIVERY_CONNECTIONS_PER_DESTINATION", default=8, at_least=1
)
DELIVERY_FINAL_AGE_SECONDS = read.number("DELIVERY_FINAL_AGE_SECONDS", default=2 * 86_400)
DELIVERY_LEASE_SECONDS = read.number("DELIVERY_LEASE_SECONDS", default=120, at_least=110)
DELIVERY_PRIVATE_MX = read.flag("DELIVERY_PRIVATE_MX", default=False)
DNS_RESOLVERS = read.environment.list("DNS_RESOLVERS", default=[])
DNS_PORT = read.number("DNS_PORT", default=53, at_least=1)
# What customers' records name besides RETURN_PATH_HOST.
SPF_INCLUDE = os.environ.get("SPF_INCLUDE", "")
TRACKING_HOST = os.environ.get("TRACKING_HOST", "track.localhost")
# Who is asked about the records of sending domains; a record must be seen by each.
DOMAIN_DNS_RESOLVERS = read.environment.list("DOMAIN_DNS_RESOLVERS", default=DNS_RESOLVERS)
DOMAIN_DNS_PORT = read.number("DOMAIN_DNS_PORT", default=DNS_PORT, at_least=1)
DOMAINS_MAX = read.number("DOMAINS_MAX", default=1_000, at_least=1)
DOMAIN_PENDING_HOURS = read.number("DOMAIN_PENDING_HOURS", default=72, at_least=1)
DOMAIN_GRACE_HOURS = read.number("DOMAIN_GRACE_HOURS", default=72, at_least=1)
# Mail is delivered for up to DELIVERY_FINAL_AGE_SECONDS, and verified by its receivers later.
DKIM_OVERLAP_HOURS = read.number("DKIM_OVERLAP_HOURS", default=168, at_least=72)
INBOX_DIR = Path(os.environ.get("INBOX_DIR", BASE_DIR / "var" / "inbox"))
LOCAL_CA_FILE = os.environ.get("LOCAL_CA_FILE", "")
TLS_CERT_FILE = os.environ.get("TLS_CERT_FILE", "")
TLS_KEY_FILE = os.environ.get("TLS_KEY_FILE", "")

# --- Audit log ---------------------------------------------------------------------------------

# Written by the worker of queue `records`, handed out by web: on several machines, one share.
AUDIT_EXPORT_DIR = Path(os.environ.get("AUDIT_EXPORT_DIR", BASE_DIR / "var" / "exports"))
# So many hourly looks must find a clock that did not jump before anything is pruned.
AUDIT_PRUNE_CONFIRMATIONS = read.number("AUDIT_PRUNE_CONFIRMATIONS", default=24, at_least=3)
AUDIT_EXPORT_DAYS = read.number("AUDIT_EXPORT_DAYS", default=7, at_least=1)

# --- Webhooks and every other outgoing HTTP call -----------------------------------------------

OUTBOUND_ALLOW_LOOPBACK = read.flag("OUTBOUND_ALLOW_LOOPBACK", default=False)
OUTBOUND_CA_FILE = os.environ.get("OUTBOUND_CA_FILE", "")
# Besides 443.
OUTBOUND_PORTS = read.numbers("OUTBOUND_PORTS", default=[])
# Named parts of the operator's own network that webhooks may reach.
OUTBOUND_PRIVATE_RANGES = read.private_networks("OUTBOUND_PRIVATE_RANGES")
# The first attempt is at once; these are the pauses before the following ones.
WEBHOOK_RETRY_SECONDS = read.numbers(
    "WEBHOOK_RETRY_SECONDS", default=[5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]
)
# An endpoint to which nothing was delivered for so long, while it was tried, is disabled.
WEBHOOK_DISABLE_AFTER_SECONDS = read.number(
    "WEBHOOK_DISABLE_AFTER_SECONDS", default=5 * 86_400, at_least=1
)
WEBHOOK_TIMEOUT_SECONDS = read.number("WEBHOOK_TIMEOUT_SECONDS", default=15, at_least=1)
WEBHOOK_SECRET_OVERLAP_SECONDS = read.number("WEBHOOK_SECRET_OVERLAP_SECONDS", default=86_400)

# --- Sign-in -----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 15}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": "accounts.passwords.MaximumLengthValidator"},
]
CONSOLE_PREFIXES = ("/console", "/accounts/")
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "console_home"
LOGOUT_REDIRECT_URL = "account_login"

ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
# People are invited; the invitation proves the address.
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_PREVENT_ENUMERATION = "strict"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_FORMS = {"login": "accounts.forms.SignInForm"}
ACCOUNT_RATE_LIMITS = {"login": "30/m/ip", "login_failed": "10/m/ip,5/300s/key"}
MFA_ADAPTER = "accounts.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "QueenSMTP"
# RFC 6238, 5.2: one step for clocks that differ and for codes typed at the end of their time.
MFA_TOTP_TOLERANCE = 1
USERSESSIONS_TRACK_ACTIVITY = True
FORM_RENDERER = "accounts.rendering.ConsoleForms"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# Password resets and notices leave by SMTP like any other program's mail.
EMAIL_HOST = os.environ.get("EMAIL_HOST", "127.0.0.1")
EMAIL_PORT = read.number("EMAIL_PORT", default=PORT_BASE + 25)
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "QueenSMTP <no-reply@localhost>")

# --- Logs --------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "queensmtp.redaction.SecretlessFormatter",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        # It names its detectors for each mail, and tells at length of mail that it cannot read.
        "flufl.bounce": {"level": "CRITICAL"},
        # A traceback for each stray request, such as a browser's for an icon at a tracking host.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}

# --- Production refuses to start unsafe --------------------------------------------------------

if MODE == "production":
    for name, unsafe, mend in (
        ("OUTBOUND_ALLOW_LOOPBACK", OUTBOUND_ALLOW_LOOPBACK, "unset it"),
        ("DELIVERY_TRANSPORT", DELIVERY_TRANSPORT == "inbox", "set it to mx or relay"),
        ("DELIVERY_PRIVATE_MX", DELIVERY_PRIVATE_MX, "unset it"),
        ("SECRET_KEY", len(SECRET_KEY) < 40, "use at least 40 random characters"),
        (
            "METRICS_TOKEN",
            0 < len(METRICS_TOKEN) < 32,
            "use at least 32 random characters, or unset it",
        ),
        ("LINKS_URL", not LINKS_URL.startswith("https://"), "begin it with https://"),
        ("ALLOWED_HOSTS", "*" in ALLOWED_HOSTS, "name your hosts"),
        (
            "AUDIT_SIGNING_KEY",
            PROCESS == "web" and bool(AUDIT_SIGNING_KEY),
            "give it to the worker of queue `audit`, and to no web process",
        ),
    ):
        if unsafe:
            raise ImproperlyConfigured(f"{name} is unsafe in production: {mend}.")
