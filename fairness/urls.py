from django.urls import path

from fairness import comparepages, views

urlpatterns = [
    path("reports/", views.reports, name="reports"),
    path("reports/<int:pk>/", views.report, name="report"),
    path("reports/<int:pk>/compare/", comparepages.compare, name="report-compare"),
    path("reports/<int:pk>/report.json", views.content, name="report-json"),
    path("reports/<int:pk>/abridged.json", views.public, name="report-abridged"),
    path("reports/<int:pk>/report.pdf", views.document, name="report-pdf"),
    path("reports/<int:pk>/report.csv", views.table, name="report-csv"),
    path("versions/<int:pk>/reports/new/", views.ask, name="report-new"),
]
