from django.urls import path

from registry.attesting import views as attesting
from registry.connecting import views as connecting
from registry.feeders import views as feeders
from registry.importing import views as importing
from registry.pinned import views as pinned
from registry.processing import views as processing
from registry.training import views as training
from registry.views import datasets, evidence, models, versions

urlpatterns = [
    *attesting.urlpatterns,
    *connecting.urlpatterns,
    *feeders.urlpatterns,
    *importing.urlpatterns,
    *pinned.urlpatterns,
    *processing.urlpatterns,
    *training.urlpatterns,
    path("models/new/", models.new, name="model-new"),
    path("models/<int:pk>/edit/", models.edit, name="model-edit"),
    path("models/<int:pk>/risk-tier/", models.tier, name="model-tier"),
    path("models/<int:pk>/versions/new/", versions.new, name="version-new"),
    path("versions/<int:pk>/card/", versions.edit_card, name="version-card"),
    path("versions/<int:pk>/contributors/", versions.contributors, name="version-contributors"),
    path("versions/<int:pk>/artifact/", versions.download, name="version-artifact"),
    path("versions/<int:pk>/compare/", versions.choose_other, name="version-compare-with"),
    path("versions/<int:pk>/compare/<int:other>/", versions.compare, name="version-compare"),
    path("versions/<int:pk>/evidence/new/", evidence.new, name="evidence-new"),
    path("evidence/<int:pk>/", evidence.evidence, name="evidence"),
    path("evidence/<int:pk>/content/", evidence.download, name="evidence-content"),
    path("evidence/<int:pk>/withdraw/", evidence.withdraw, name="evidence-withdraw"),
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/new/", datasets.new, name="dataset-new"),
    path("datasets/<int:pk>/", datasets.dataset, name="dataset"),
    path("datasets/<int:pk>/rows/", datasets.rows, name="dataset-rows"),
    path("datasets/<int:pk>/content/", datasets.download, name="dataset-content"),
]
