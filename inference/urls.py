from django.urls import path

from inference import views
from inference.batch.views import urlpatterns as batches
from inference.keyrequests import views as keyrequests
from inference.overrides import views as overrides
from inference.predictions import views as predictions
from inference.rollouts import views as rollouts
from inference.traffic import views as traffic
from inference.upstreams import views as upstreams

urlpatterns = [
    *batches,
    *keyrequests.urlpatterns,
    *overrides.urlpatterns,
    *predictions.urlpatterns,
    *rollouts.urlpatterns,
    *traffic.urlpatterns,
    *upstreams.urlpatterns,
    path("endpoints/", views.endpoints, name="endpoints"),
    path("endpoints/new/", views.new, name="endpoint-new"),
    path("endpoints/reconciliation/", views.reconciliation, name="reconciliation"),
    path("endpoints/<int:pk>/", views.endpoint, name="endpoint"),
    path("endpoints/<int:pk>/bind/", views.bind, name="endpoint-bind"),
    path("endpoints/<int:pk>/keys/new/", views.new_key, name="key-new"),
    path("keys/", views.keys, name="keys"),
    path("keys/<int:pk>/", views.key, name="key"),
    path("keys/<int:pk>/rotate/", views.rotate, name="key-rotate"),
    path("keys/<int:pk>/revoke/", views.revoke, name="key-revoke"),
]
