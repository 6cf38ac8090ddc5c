"""The map. Each app has its pages in `urls.py` and its API routes in `api.py` as `routes`."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from accounts import api as accounts_api
from accounts.granting import api as granting_api
from accounts.preferences import api as preferences_api
from accounts.takeover import api as takeover_api
from accounts.webhooks import api as webhooks_api
from approvals import answers, policyapi, records, standingapi
from approvals import api as approvals_api
from approvals.findings import api as findings_api
from approvals.pack import api as pack_api
from approvals.populations import api as populations_api
from approvals.reporting import api as reporting_api
from audits import api as audits_api
from audits import receipts, tiles
from fairness import api as fairness_api
from fairness.ll144 import api as ll144_api
from fairness.selftest import api as selftest_api
from fairness.tradeoff import api as tradeoff_api
from inference import api as inference_api
from jobs import api as jobs_api
from notifications import api as notifications_api
from portal import health
from portal.inventory import api as inventory_api
from portal.inventory import boardpages, saved, savedapi
from portal.inventory import views as inventory
from portal.pages import asking, evidence, models
from portal.pages.inbox import home
from portal.theme import set_theme
from registry import api as registry_api

handler400 = "portal.errors.bad_request"
handler403 = "portal.errors.permission_denied"
handler404 = "portal.errors.not_found"
handler500 = "portal.errors.server_error"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path(".well-known/jwks.json", answers.jwks, name="jwks"),
    path("theme/", set_theme, name="theme"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/v1/", include(accounts_api.routes)),
    path("api/v1/", include(granting_api.routes)),
    path("api/v1/", include(takeover_api.routes)),
    path("api/v1/", include(preferences_api.routes)),
    path("api/v1/", include(approvals_api.routes)),
    path("api/v1/", include(answers.routes)),
    path("api/v1/", include(findings_api.routes)),
    path("api/v1/", include(policyapi.routes)),
    path("api/v1/", include(standingapi.routes)),
    path("api/v1/", include(records.routes)),
    path("api/v1/", include(pack_api.routes)),
    path("api/v1/", include(populations_api.routes)),
    path("api/v1/", include(reporting_api.routes)),
    path("api/v1/", include(audits_api.routes)),
    path("api/v1/", include(receipts.routes)),
    path("api/v1/", include(fairness_api.routes)),
    path("api/v1/", include(selftest_api.routes)),
    path("api/v1/", include(ll144_api.routes)),
    path("api/v1/", include(tradeoff_api.routes)),
    path("api/v1/", include(inference_api.routes)),
    path("api/v1/", include(jobs_api.routes)),
    path("api/v1/", include(notifications_api.routes)),
    path("api/v1/", include(webhooks_api.routes)),
    path("api/v1/", include(registry_api.routes)),
    path("api/v1/", include(inventory_api.routes)),
    path("api/v1/", include(savedapi.routes)),
    path("log/", include(tiles.routes)),
    path("", home, name="home"),
    path("", include("approvals.urls")),
    path("", include("fairness.urls")),
    path("models/", inventory.models, name="models"),
    path("models/board-report/", boardpages.report, name="board-report"),
    path("models/calendar/", inventory.revalidations, name="revalidations"),
    path("models/inventory.csv", inventory.content, name="models-content"),
    *saved.urlpatterns,
    path("models/<int:pk>/", models.model, name="model"),
    path("versions/<int:pk>/", models.version, name="version"),
    path("versions/<int:pk>/reports/new/", asking.report_new, name="report-new"),
    path("", include("inference.urls")),
    path("", include("registry.urls")),
    path("", include("jobs.urls")),
    path("", include("notifications.urls")),
    path("", include("accounts.urls")),
    path("audit/evidence/", evidence.evidence, name="audit-evidence"),
    path("", include("audits.urls")),
]
