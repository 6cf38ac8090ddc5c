from django.urls import path

from accounts import views

urlpatterns = [
    path("sign-in/", views.sign_in, name="sign-in"),
    path("sign-in/invitation/<str:text>/", views.invitation, name="invitation"),
    path("sign-out/", views.sign_out, name="sign-out"),
    path("account/", views.account, name="account"),
    path("account/password/", views.change_password, name="password"),
    path("account/tokens/new/", views.new_token, name="token-new"),
    path("account/tokens/<int:pk>/revoke/", views.revoke_token, name="token-revoke"),
]
