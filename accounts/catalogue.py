"""Every permission and role of the house. A migration seeds the roles; tests hold database and documents to this."""

from __future__ import annotations

from collections.abc import Collection

PERMISSIONS: dict[str, str] = {
    "accounts.sign_in": "sign in (anybody)",
    "accounts.manage_own_access": "change their own password, second factors, sessions, API tokens and saved filters",
    "accounts.view_people": "see people, roles and who can do what",
    "accounts.add_team": "add a team",
    "accounts.add_account": "add a person or a service account",
    "accounts.deactivate_account": "deactivate a person or a service account",
    "accounts.grant_role": "grant and revoke roles, and confirm grants that others propose",
    "accounts.recertify_access": "confirm or drop grants when they are due for it",
    "accounts.manage_credentials": "send one-time links for passwords, change mail addresses, confirm such changes",
    "accounts.issue_service_token": "make API tokens for a service account",
    "ledger.report_clock": "report that a clock went wrong (the portal only)",
    "audits.view_log": "read the audit log",
    "audits.export_log": "export the audit log",
    "audits.view_erasure": "see erasures and legal holds",
    "audits.request_erasure": "ask for the erasure of what the log discloses about somebody",
    "audits.approve_erasure": "approve and reject erasures that somebody else asked for",
    "audits.manage_legal_hold": "place and lift legal holds",
    "audits.carry_out_erasure": "carry out approved erasures (the portal only)",
    "notifications.view_outbox": "see what mail and webhooks were sent, waits or failed, and which webhooks there are",
    "notifications.retry_delivery": "have mail that failed tried again, and look after webhooks",
    "jobs.view_job": "see jobs",
    "jobs.cancel_job": "cancel and retry jobs",
    "registry.view_model": "see models, versions, evidence and datasets",
    "registry.register_model": "register a model",
    "registry.edit_model": "edit a model's description",
    "registry.register_version": "register a version",
    "registry.edit_version": "edit a version's card and contributors",
    "registry.upload_artifact": "upload files",
    "registry.download_artifact": "download files",
    "registry.register_dataset": "register a dataset",
    "registry.read_rows": "open a dataset's rows",
    "registry.govern_dataset": "record a dataset's lawful basis, retention and who opens its rows",
    "registry.delete_data": "delete the rows of datasets whose retention is over (the portal only)",
    "registry.attach_evidence": "attach evidence",
    "registry.set_risk_tier": "set a model's risk tier",
    "fairness.request_report": "ask for a bias or an explanation report",
    "fairness.publish_report": "publish what a worker computed (the portal only)",
    "approvals.view_request": "see review requests",
    "approvals.submit_request": "ask for approval",
    "approvals.withdraw_request": "withdraw a request",
    "approvals.comment": "take part in a request's conversation",
    "approvals.reauthenticate": "prove anew who they are, before signing",
    "approvals.sign_decision": "sign decisions that the policy gives to their role",
    "approvals.revoke_approval": "revoke an approval",
    "approvals.check_gate": "ask the gate",
    "approvals.export_pack": "take out evidence packs of requests",
    "approvals.raise_finding": "raise a finding about a version, and write its validation report",
    "approvals.answer_finding": "answer findings",
    "approvals.judge_finding": "change a finding's severity, due day and owner, validate its closure, reopen it",
    "approvals.accept_risk": "accept a risk for a while, and end that",
    "approvals.propose_policy": "propose policies, and which requests they govern",
    "approvals.publish_policy": "publish or decline what somebody else proposed",
    "inference.view_endpoint": "see endpoints",
    "inference.add_endpoint": "add an endpoint",
    "inference.bind_endpoint": "bind an endpoint to a version",
    "inference.roll_back_endpoint": "roll an endpoint back to the version that it served before",
    "inference.issue_key": "issue inference keys, and run and schedule batches",
    "inference.decide_key": "approve and decline inference keys that somebody else asks for",
    "inference.govern_keys": "set when keys to an endpoint take two people",
    "inference.revoke_key": "revoke inference keys",
    "inference.govern_log": "set what is logged of an endpoint's predictions and for how long",
    "inference.read_inputs": "open the inputs and outputs of logged predictions",
    "inference.delete_predictions": "delete logged predictions whose retention is over (the portal only)",
    "inference.report_loss": "report that rows of the prediction log are missing (the portal only)",
    "inference.report_leaked_key": "report a leaked key by showing it (anybody)",
}

EVERYBODY = ("accounts.manage_own_access",)
READ = (
    "registry.view_model",
    "approvals.view_request",
    "approvals.check_gate",
    "jobs.view_job",
    "inference.view_endpoint",
)
BUILD = (
    "registry.register_model", "registry.edit_model", "registry.register_version", "registry.edit_version",
    "registry.upload_artifact", "registry.download_artifact", "registry.register_dataset", "registry.read_rows",
    "registry.attach_evidence", "fairness.request_report", "jobs.cancel_job", "approvals.submit_request",
    "approvals.withdraw_request", "approvals.comment", "approvals.answer_finding",
    "inference.roll_back_endpoint", "inference.read_inputs",
)  # fmt: skip
CHALLENGE = (
    "registry.download_artifact", "registry.read_rows", "registry.attach_evidence", "registry.upload_artifact",
    "fairness.request_report", "jobs.cancel_job", "approvals.comment", "approvals.reauthenticate",
    "approvals.sign_decision", "approvals.export_pack", "inference.read_inputs",
)  # fmt: skip
# What the second line does, and nobody else: not the approver, who decides on what it found.
JUDGE = ("approvals.raise_finding", "approvals.judge_finding")

ROLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "model_owner": (
        "Model owner",
        (
            *READ, *BUILD, "registry.govern_dataset", "approvals.export_pack", "inference.add_endpoint",
            "inference.bind_endpoint", "inference.issue_key", "inference.revoke_key", "inference.govern_log",
            "inference.govern_keys",
        ),
    ),
    "developer": ("Developer", (*READ, *BUILD)),
    "validator": (
        "Validator",
        (*READ, *CHALLENGE, *JUDGE, "registry.govern_dataset", "inference.govern_log", "inference.govern_keys"),
    ),
    "reviewer": ("Reviewer", (*READ, "registry.download_artifact", "approvals.comment")),
    "approver": ("Approver", (*READ, *CHALLENGE, "approvals.revoke_approval", "inference.decide_key")),
    "risk_officer": (
        "Risk officer",
        (
            *READ, *CHALLENGE, *JUDGE, "approvals.accept_risk", "approvals.publish_policy", "registry.set_risk_tier",
            "registry.govern_dataset", "inference.roll_back_endpoint", "inference.govern_log", "inference.govern_keys",
            "inference.decide_key", "inference.revoke_key", "approvals.revoke_approval", "audits.view_log",
            "audits.view_erasure", "audits.request_erasure", "audits.approve_erasure", "audits.manage_legal_hold",
            "accounts.view_people", "accounts.recertify_access",
        ),
    ),
    "auditor": (
        "Auditor",
        (
            *READ, "audits.view_log", "audits.export_log", "audits.view_erasure", "accounts.view_people",
            "registry.download_artifact", "approvals.export_pack",
        ),
    ),
    "policy_administrator": (
        "Policy administrator",
        (*READ, "approvals.propose_policy", "approvals.publish_policy"),
    ),
    "platform_administrator": (
        "Platform administrator",
        (
            "accounts.view_people", "accounts.add_team", "accounts.add_account", "accounts.deactivate_account",
            "accounts.grant_role", "accounts.recertify_access", "accounts.manage_credentials",
            "accounts.issue_service_token", "jobs.view_job",
            "notifications.view_outbox", "notifications.retry_delivery",
            "audits.view_erasure", "audits.request_erasure",
        ),
    ),
    "service_account": (
        "Service account",
        (
            *READ, "registry.register_model", "registry.register_version", "registry.edit_version",
            "registry.upload_artifact", "registry.register_dataset", "registry.attach_evidence",
            "fairness.request_report", "approvals.submit_request", "approvals.withdraw_request",
        ),
    ),
}  # fmt: skip

# Who builds does not sign, and who hands out roles does not sign: shown before such grants are made.
APART: tuple[tuple[str, str, str], ...] = (
    ("registry.register_version", "approvals.sign_decision", "register versions and sign decisions on versions"),
    ("accounts.grant_role", "approvals.sign_decision", "grant roles and sign decisions"),
    ("accounts.grant_role", "audits.export_log", "grant roles and audit the portal"),
    ("accounts.grant_role", "audits.approve_erasure", "grant roles and approve erasures"),
)

# Roles with one of these are handed out only by a person whose own credentials were not changed just now.
GUARDED = frozenset(
    {"approvals.sign_decision", "approvals.accept_risk", "approvals.publish_policy", "accounts.grant_role"}
)


def conflicts(role: str, held: Collection[str]) -> list[tuple[str, str, str]]:
    """The pairs of APART that one account would hold by this role beside those held, and does not hold already."""
    added = set(ROLES[role][1]) if role in ROLES else set()
    before = {permission for slug in held if slug in ROLES for permission in ROLES[slug][1]}
    return [
        (one, other, words)
        for one, other, words in APART
        if {one, other} <= added | before and {one, other} & added and not {one, other} <= before
    ]


def conflict(role: str, held: Collection[str]) -> str:
    """A sentence on what one person could then do that two should, or "" where roles stay apart."""
    meets = [words for _, _, words in conflicts(role, held)]
    return f"The same account could then {'; and '.join(meets)}, which is meant for two people." if meets else ""
