from django.urls import path

from approvals import delegationpages, policypages, signpage, views
from approvals.findings import ageing, riskpages
from approvals.findings import views as findings
from approvals.pack.views import urlpatterns as packs
from approvals.populations.views import urlpatterns as populations
from approvals.reporting.views import urlpatterns as reporting

urlpatterns = [
    path("requests/", views.requests, name="requests"),
    path("requests/<int:pk>/", views.review, name="request"),
    path("requests/<int:pk>/sign/", signpage.sign, name="sign"),
    path("requests/<int:pk>/comment/", views.comment, name="request-comment"),
    path("requests/<int:pk>/revise/", views.revise, name="request-revise"),
    path("requests/<int:pk>/withdraw/", views.withdraw, name="request-withdraw"),
    path("requests/<int:pk>/revoke/", views.revoke, name="request-revoke"),
    path("requests/<int:pk>/recuse/", views.recuse, name="request-recuse"),
    path("delegations/", delegationpages.delegations, name="delegations"),
    path("delegations/<int:pk>/end/", delegationpages.end, name="delegation-end"),
    path("requests/<int:pk>/manifest/", views.manifest, name="request-manifest"),
    path("requests/<int:pk>/evidence/<int:evidence>/", views.evidence, name="request-evidence"),
    path("versions/<int:pk>/requests/new/", views.submit, name="request-new"),
    *packs,
    *populations,
    *reporting,
    path("requests/<int:pk>/risk-acceptances/new/", riskpages.accept, name="risk-acceptance-new"),
    path("risk-acceptances/<int:pk>/", riskpages.acceptance, name="risk-acceptance"),
    path("risk-acceptances/<int:pk>/withdraw/", riskpages.withdraw, name="risk-acceptance-withdraw"),
    path("versions/<int:pk>/findings/new/", findings.raised, name="finding-new"),
    path("findings/", findings.findings, name="findings"),
    path("findings/ageing/", ageing.ageing, name="findings-ageing"),
    path("findings/<int:pk>/", findings.finding, name="finding"),
    path("findings/<int:pk>/answer/", findings.answer, name="finding-answer"),
    path("findings/<int:pk>/reassess/", findings.reassess, name="finding-reassess"),
    path("findings/<int:pk>/close/", findings.close, name="finding-close"),
    path("findings/<int:pk>/reopen/", findings.reopen, name="finding-reopen"),
    path("policies/", policypages.policies, name="policies"),
    path("policies/<int:pk>/", policypages.policy, name="policy"),
    path("policies/new/", policypages.edit, name="policy-new"),
    path("policies/frameworks/", policypages.all_frameworks, name="frameworks"),
    path("policies/bindings/new/", policypages.bind, name="policy-binding-new"),
    path("policies/proposals/<int:pk>/", policypages.proposal, name="policy-proposal"),
]
