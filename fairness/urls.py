from django.urls import path

from fairness import comparepages, submitpages, views
from fairness.ll144 import views as ll144
from fairness.rows import views as rows
from fairness.selftest import views as selftest
from fairness.tradeoff import views as tradeoff

urlpatterns = [
    path("reports/", views.reports, name="reports"),
    path("reports/<int:pk>/", views.report, name="report"),
    path("reports/<int:pk>/compare/", comparepages.compare, name="report-compare"),
    path("reports/<int:pk>/report.json", views.content, name="report-json"),
    path("reports/<int:pk>/abridged.json", views.public, name="report-abridged"),
    path("reports/<int:pk>/report.pdf", views.document, name="report-pdf"),
    path("reports/<int:pk>/report.csv", views.table, name="report-csv"),
    path("reports/<int:pk>/rows/", rows.choose, name="report-rows"),
    path("reports/<int:pk>/rows/<int:number>/", rows.row, name="report-row"),
    path("versions/<int:pk>/predictions/new/", submitpages.submit, name="predictions-new"),
    *ll144.urlpatterns,
    *tradeoff.urlpatterns,
    *selftest.urlpatterns,
]
