"""The map. Each app has its pages in `urls.py` and its API routes in `api.py` as `routes`."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from portal import health

handler400 = "portal.errors.bad_request"
handler403 = "portal.errors.permission_denied"
handler404 = "portal.errors.not_found"
handler500 = "portal.errors.server_error"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="api-schema"),
]
