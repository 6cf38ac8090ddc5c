from django.urls import path

from audits import checkpoints, receipts, views
from audits.erasing import views as erasing
from audits.exports import views as exports

urlpatterns = [
    path("audit/", views.log, name="audit"),
    path("audit/export/", exports.new, name="audit-export"),
    path("exports/", exports.exports, name="exports"),
    path("exports/<int:pk>/", exports.export, name="export"),
    path("exports/<int:pk>/live/", exports.live, name="export-live"),
    path("exports/<int:pk>/content/", exports.content, name="export-content"),
    path("audit/<uuid:pk>/", views.entry, name="audit-entry"),
    path("audit/<uuid:pk>/bytes/", views.exact_bytes, name="audit-bytes"),
    path("audit/<uuid:pk>/proof/", views.proof, name="audit-proof"),
    path("audit/receipts/<uuid:pk>/", receipts.receipt, name="receipt"),
    *checkpoints.urlpatterns,
    *erasing.urlpatterns,
]
