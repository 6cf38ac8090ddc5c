from django.urls import path

from audits import views

urlpatterns = [
    path("audit/", views.log, name="audit"),
    path("audit/export/", views.export, name="audit-export"),
    path("audit/<uuid:pk>/", views.entry, name="audit-entry"),
    path("audit/<uuid:pk>/bytes/", views.exact_bytes, name="audit-bytes"),
]
