"""The only reader of the environment. Every secret also has a `NAME_FILE` variant that names a file holding it."""

from __future__ import annotations

from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

from portal import rest
from portal.schedule import schedule

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
env = environ.Env()


def secret(name: str, default: str | None = None) -> str:
    """Value of NAME, or the stripped text of the file that NAME_FILE names."""
    if file := env.str(f"{name}_FILE", default=""):
        return Path(file).read_text(encoding="utf-8").strip()
    value: str | None = env.str(name, default=default)
    if value is None:
        raise ImproperlyConfigured(f"Set {name} or {name}_FILE. ./run sets both up for the embedded mode.")
    return value


# embedded: everything on this machine under ./run; test: the suite; production: whatever an operator runs.
MODE = env.str("COUNTERSIGN_MODE", default="production")
EMBEDDED, TESTING, PRODUCTION = MODE == "embedded", MODE == "test", MODE == "production"
DEBUG = False

SECRET_KEY = secret("SECRET_KEY")
# Peppers the digests of inference keys: a stolen table alone cannot be tried against leaked keys.
KEY_PEPPER = secret("KEY_PEPPER", default="" if PRODUCTION else SECRET_KEY)
# Seals the secrets of authenticator apps and webhooks. Of its own, so that SECRET_KEY can be changed without them.
FACTOR_KEY = secret("FACTOR_KEY", default=SECRET_KEY)

PUBLIC_URL = env.str("PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
GATEWAY_URL = env.str("GATEWAY_URL", default="http://127.0.0.1:8001").rstrip("/")
HTTPS = PUBLIC_URL.startswith("https://")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[PUBLIC_URL.split("//")[-1].split(":")[0], "localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

INSTALLED_APPS = [
    "portal",
    "inference",
    "approvals",
    "fairness",
    "registry",
    "audits",
    "accounts",
    "notifications",
    "jobs",
    "ledger",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.forms",
    "rest_framework",
    "drf_spectacular",
    "django_filters",
    "django_htmx",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "portal.middleware.OriginMiddleware",
    "portal.middleware.SignedInMiddleware",
    "portal.middleware.RefusalMiddleware",
    "portal.middleware.SizeMiddleware",
    "portal.idempotency.IdempotencyMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
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
                "portal.context.shell",
            ],
            "builtins": ["portal.templatetags.countersign", "portal.templatetags.rows"],
        },
    }
]

# ATOMIC_REQUESTS stays off: the governed door opens the outermost transaction itself.
DATABASES = {
    "default": env.db("DATABASE_URL"),
    "migration": env.db("MIGRATION_DATABASE_URL", default=env.str("DATABASE_URL", default="postgres:///countersign")),
}
DATABASES["default"]["CONN_MAX_AGE"] = 600
# What is prepared (ledger/prepared.py) is planned once a connection, not at each asking.
GENERIC = "-c plan_cache_mode=force_generic_plan"
DATABASES["default"]["OPTIONS"] = OPTIONS = {**DATABASES["default"].get("OPTIONS", {})}
OPTIONS["options"] = f"{OPTIONS.get('options', '')} {GENERIC}".strip()
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["migration"]["TEST"] = {"MIRROR": "default"}
DB_ROLE_PREFIX = env.str("DB_ROLE_PREFIX", default="countersign")
ADMIN_DATABASE_URL = env.str("ADMIN_DATABASE_URL", default="")
SEQUENCER_DATABASE_URL = env.str("SEQUENCER_DATABASE_URL", default="")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default=REDIS_URL.replace("unix://", "redis+socket://", 1))
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = env.str("CELERY_BEAT_SCHEDULE_FILENAME", default="celerybeat-schedule")
DIGEST_HOUR = env.int("DIGEST_HOUR", default=6)  # UTC
CELERY_BEAT_SCHEDULE = schedule(DIGEST_HOUR)

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.RoleBackend"]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("name", "email")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 24 * 3600  # how long an invitation or a link for a new password lasts
SIGN_IN_FAILURES_BEFORE_LOCK = 3
SIGN_IN_LOCK_MINUTES = 15
SIGN_IN_ATTEMPTS_PER_ADDRESS_AND_MINUTE = env.int("SIGN_IN_ATTEMPTS_PER_ADDRESS_AND_MINUTE", default=30)

# Mail, such as smtp+tls://user:password@mail.example.org:587. Without it administrators hand links over.
EMAIL_URL = secret("EMAIL_URL", default="")
MAIL_ON = bool(EMAIL_URL) or TESTING
vars().update(env.email_url_config(EMAIL_URL or "dummymail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("MAIL_FROM", default=f"countersign@{PUBLIC_URL.split('//')[-1].split(':')[0]}")
# How many days a grant stands before somebody has to find it right again, and how many a proposed one waits.
RECERTIFY_DAYS = env.int("RECERTIFY_DAYS", default=180)
PROPOSAL_DAYS = env.int("PROPOSAL_DAYS", default=7)

SESSION_ENGINE = "accounts.sessionstore"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
# Two copies on one host share their cookies, whatever the port: the name keeps them apart.
SESSION_COOKIE_NAME = env.str("SESSION_COOKIE_NAME", default="countersign_session")
CSRF_FAILURE_VIEW = "portal.errors.csrf_failure"
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
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
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

LANGUAGE_CODE = "en-gb"
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / ".countersign" / "static"))
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = TESTING  # else every test client would look through all files first

# The transparency log: its name in every checkpoint, and the folder of its tiles. A name is never used again.
LOG_ORIGIN = env.str("LOG_ORIGIN", default=f"{PUBLIC_URL.split('//')[-1].split('/')[0].split(':')[0]}/countersign-log")
LOG_ROOT = env.str("LOG_ROOT", default=str(BASE_DIR / ".countersign" / "log"))
# Private keys: the log's is for the sequencer alone, the portal's signs receipts. ledger.keys reads and judges them.
LOG_KEY, LOG_KEY_FILE = env.str("LOG_KEY", default=""), env.str("LOG_KEY_FILE", default="")
PORTAL_KEY, PORTAL_KEY_FILE = env.str("PORTAL_KEY", default=""), env.str("PORTAL_KEY_FILE", default="")
PORTAL_VKEY = secret("PORTAL_VKEY", default="")
# How long an answer waits for its act to be sealed before it says that the seal is pending.
SEAL_WAIT_SECONDS = env.float("SEAL_WAIT_SECONDS", default=0.0 if TESTING else 2.0)
# Where checkpoints go when they leave the database; ledger.anchors.addresses reads the entries.
LOG_ANCHORS = secret("LOG_ANCHORS", default="").replace(",", " ").split()
LOG_ANCHORS_ALLOW_HTTP = env.bool("LOG_ANCHORS_ALLOW_HTTP", default=False)
# Vendor models: hosts within that may be asked which version they run, and how old such an answer may be.
UPSTREAM_INTERNAL_HOSTS = env.list("UPSTREAM_INTERNAL_HOSTS", default=[])
UPSTREAM_STALE_HOURS = env.int("UPSTREAM_STALE_HOURS", default=72)
# Hosts within, or folders of sockets, whose databases may be connected as datasets; who signs for the others.
CONNECTION_INTERNAL_HOSTS = env.list("CONNECTION_INTERNAL_HOSTS", default=[])
CONNECTION_CA_FILE = env.str("CONNECTION_CA_FILE", default="system")
# Hosts within that webhooks may be sent to; all others have to be outside.
WEBHOOK_INTERNAL_HOSTS = env.list("WEBHOOK_INTERNAL_HOSTS", default=[])

# How many days the file of an export is kept; what it held stays in the log.
EXPORT_DAYS = env.int("EXPORT_DAYS", default=30)
# The longest PDF of the log: a longer one is for machines, and typesetting holds all of it in memory.
EXPORT_PDF_ENTRIES = env.int("EXPORT_PDF_ENTRIES", default=2000)

# Groups of fewer rows are withheld in what leaves the portal of a report; 0 withholds none.
SMALL_CELL_SIZE = env.int("SMALL_CELL_SIZE", default=10)

# Where gateways count what they hand to the prediction log: on a local disk, kept when they end.
GATEWAY_ROOT = env.str("GATEWAY_ROOT", default=str(BASE_DIR / ".countersign" / "gateway"))
ARTIFACT_ROOT = env.str("ARTIFACT_ROOT", default=str(BASE_DIR / ".countersign" / "artifacts"))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": ARTIFACT_ROOT}},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# What the demo takes out of the log, and its logins.
DEMO_FOLDER = env.str("DEMO_FOLDER", default=str(BASE_DIR / ".countersign" / "demo"))
DEMO_PASSWORD_FILE = env.str("DEMO_PASSWORD_FILE", default=str(BASE_DIR / ".countersign" / "secrets" / "demo-password"))
MAX_UPLOAD_BYTES = env.int("MAX_UPLOAD_BYTES", default=2 * 1024**3)
# The longest dataset that is registered and reported on.
MAX_DATASET_ROWS = env.int("MAX_DATASET_ROWS", default=50_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024**2
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR = env.str("UPLOAD_TEMP_DIR", default=None)

# For how long a risk can be accepted, and how often it can be renewed.
RISK_ACCEPTANCE_DAYS = env.int("RISK_ACCEPTANCE_DAYS", default=90)
RISK_ACCEPTANCE_RENEWALS = env.int("RISK_ACCEPTANCE_RENEWALS", default=2)
JOB_STALE_SECONDS = env.int("JOB_STALE_SECONDS", default=20)
WORKER_MEMORY_BYTES = env.int("WORKER_MEMORY_BYTES", default=3 * 1024**3)
# A worker's child is replaced once it has grown, or after a quarter of an hour of the scheduler's small tasks. The next
# one loads the libraries of reports anew, which takes longer than a small report.
CELERY_WORKER_MAX_MEMORY_PER_CHILD = WORKER_MEMORY_BYTES // 3 // 1024
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
# The certificate that the gateway shows where no proxy does that for it.
GATEWAY_TLS_CERT = env.str("GATEWAY_TLS_CERT", default="")
GATEWAY_TLS_KEY = env.str("GATEWAY_TLS_KEY", default="")
# How much memory a gateway may use before it ends to be started anew; 0: as much as there is.
GATEWAY_MEMORY_BYTES = max(0, env.int("GATEWAY_MEMORY_BYTES", default=2 * 1024**3))
SERVING_LEASE_SECONDS = env.int("SERVING_LEASE_SECONDS", default=30)
# How many processes the gateway has, at least; the networks of proxies whose word on who sends counts; how long an
# inference key lives at most; and how long a request for one can be decided, and what was approved be taken.
GATEWAY_PROCESSES = max(1, env.int("GATEWAY_PROCESSES", default=1))
TRUSTED_PROXIES = [each.strip() for each in env.list("TRUSTED_PROXIES", default=[])]
INFERENCE_KEY_DAYS = env.int("INFERENCE_KEY_DAYS", default=365)
KEY_REQUEST_DAYS = env.int("KEY_REQUEST_DAYS", default=7)
# Traces of the gateway; inference.gateway.tracing.config reads and judges them. The headers may hold a token.
OTEL = {name: value for name, value in env.ENVIRON.items() if name.startswith("OTEL_")}
OTEL["OTEL_EXPORTER_OTLP_HEADERS"] = secret("OTEL_EXPORTER_OTLP_HEADERS", default="")

REST_FRAMEWORK = rest.REST_FRAMEWORK
SPECTACULAR_SETTINGS = {**rest.SPECTACULAR_SETTINGS, "VERSION": VERSION}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "filters": {"links": {"()": "portal.hiding.HideLinks"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["links"]}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="WARNING")},
}

if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
