from django.urls import path

from accounts.granting import views as granting
from accounts.preferences import views as preferences
from accounts.takeover import views as takeover
from accounts.views import factors, own, people, second
from accounts.webhooks import views as webhooks

urlpatterns = [
    path("sign-in/", own.sign_in, name="sign-in"),
    path("sign-in/second/", second.second, name="sign-in-second"),
    path("sign-in/invitation/<str:text>/", own.invitation, name="invitation"),
    path("sign-out/", own.sign_out, name="sign-out"),
    path("account/", own.account, name="account"),
    path("account/password/", own.change_password, name="password"),
    path("account/tokens/new/", own.new_token, name="token-new"),
    path("account/tokens/<int:pk>/revoke/", own.revoke_token, name="token-revoke"),
    path("account/factors/apps/new/", factors.new_app, name="app-new"),
    path("account/factors/passkeys/new/", factors.new_passkey, name="passkey-new"),
    path("account/factors/<int:pk>/remove/", factors.remove_factor, name="factor-remove"),
    path("account/recovery-codes/new/", factors.new_recovery_codes, name="recovery-codes-new"),
    path("account/sessions/<int:pk>/end/", factors.end_session, name="session-end"),
    path("account/sessions/end/", factors.end_other_sessions, name="sessions-end"),
    path("account/history/", factors.sign_in_history, name="sign-in-history"),
    path("people/", people.people, name="people"),
    path("people/new/", people.add_person, name="person-new"),
    path("people/service-accounts/new/", people.add_service_account, name="service-account-new"),
    path("people/<int:pk>/", people.person, name="person"),
    path("people/<int:pk>/deactivate/", people.deactivate, name="person-deactivate"),
    path("people/<int:pk>/invite/", people.invite, name="person-invite"),
    path("people/<int:pk>/tokens/new/", people.issue_token, name="service-token-new"),
    path("people/grants/<int:pk>/revoke/", people.revoke_grant, name="grant-revoke"),
    path("people/tokens/<int:pk>/revoke/", people.revoke_token, name="service-token-revoke"),
    path("teams/", people.teams, name="teams"),
    path("teams/new/", people.add_team, name="team-new"),
    *granting.urlpatterns,
    *takeover.urlpatterns,
    *preferences.urlpatterns,
    *webhooks.urlpatterns,
]
