from django.urls import path

from notifications import views

urlpatterns = [
    path("notifications/", views.outbox, name="outbox"),
    path("notifications/<int:pk>/retry/", views.retry, name="notification-retry"),
]
