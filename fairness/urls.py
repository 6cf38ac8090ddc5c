from django.urls import path

from fairness import views
from fairness.ll144 import views as ll144
from fairness.tradeoff import views as tradeoff

urlpatterns = [
    path("reports/", views.reports, name="reports"),
    path("reports/<int:pk>/", views.report, name="report"),
    path("reports/<int:pk>/report.json", views.content, name="report-json"),
    path("reports/<int:pk>/report.csv", views.table, name="report-csv"),
    path("versions/<int:pk>/reports/new/", views.ask, name="report-new"),
    *ll144.urlpatterns,
    *tradeoff.urlpatterns,
]
