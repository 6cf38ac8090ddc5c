"""The registry under `/api/v1/`."""

from django.urls import path

from registry.api import datasets, evidence, files, models, records, versions
from registry.attesting import api as attesting
from registry.connecting import api as connecting
from registry.feeders import api as feeders
from registry.importing import api as importing
from registry.pinned import api as pinned
from registry.processing import api as processing
from registry.training import api as training

routes = [
    *attesting.routes,
    *connecting.routes,
    *feeders.routes,
    *importing.routes,
    *pinned.routes,
    *processing.routes,
    *training.routes,
    path("artifacts/", files.Uploads.as_view(), name="api-artifacts"),
    path("artifacts/<int:pk>/", files.UploadDetail.as_view(), name="api-artifact"),
    path("artifacts/<int:pk>/content/", files.UploadContent.as_view(), name="api-artifact-content"),
    path("models/", models.Models.as_view(), name="api-models"),
    path("models/<int:pk>/", models.ModelDetail.as_view(), name="api-model"),
    path("models/<int:pk>/record/", records.ModelRecord.as_view(), name="api-model-record"),
    path("models/<int:pk>/risk-tier/", models.RiskTier.as_view(), name="api-model-risk-tier"),
    path("models/<int:pk>/versions/", versions.ModelVersions.as_view(), name="api-model-versions"),
    path("versions/", versions.Versions.as_view(), name="api-versions"),
    path("versions/<int:pk>/", versions.VersionDetail.as_view(), name="api-version"),
    path("versions/<int:pk>/record/", records.VersionRecord.as_view(), name="api-version-record"),
    path("versions/<int:pk>/card/", versions.Card.as_view(), name="api-version-card"),
    path("versions/<int:pk>/contributors/", versions.Contributors.as_view(), name="api-version-contributors"),
    path("versions/<int:pk>/artifact/", versions.VersionContent.as_view(), name="api-version-artifact"),
    path("versions/<int:pk>/comparison/<int:other>/", versions.Comparison.as_view(), name="api-version-comparison"),
    path("versions/<int:pk>/evidence/", evidence.VersionEvidence.as_view(), name="api-version-evidence"),
    path("datasets/", datasets.Datasets.as_view(), name="api-datasets"),
    path("datasets/<int:pk>/", datasets.DatasetDetail.as_view(), name="api-dataset"),
    path("datasets/<int:pk>/rows/", datasets.DatasetRows.as_view(), name="api-dataset-rows"),
    path("datasets/<int:pk>/content/", datasets.DatasetContent.as_view(), name="api-dataset-content"),
    path("evidence/", evidence.EvidenceList.as_view(), name="api-evidence-list"),
    path("evidence/<int:pk>/", evidence.EvidenceDetail.as_view(), name="api-evidence"),
    path("evidence/<int:pk>/content/", evidence.EvidenceContent.as_view(), name="api-evidence-content"),
    path("evidence/<int:pk>/withdrawal/", evidence.Withdrawal.as_view(), name="api-evidence-withdrawal"),
]
