"""Names of the API's enumerations, where drf-spectacular could not tell two of them apart."""

ENUMS = {
    "AccountKindEnum": "accounts.models.User.Kind",
    "ErasureKindEnum": "audits.models.Erasure.Kind",
    "ErasureStateEnum": "audits.models.Erasure.State",
    "ExportFormatEnum": "audits.models.Export.Kind",
    "ExportStateEnum": "audits.models.STATES",
    "HoldKindEnum": "audits.models.Hold.Kind",
    "HoldStateEnum": "audits.erasing.models.STATES",
    "DatasetPurposeEnum": "registry.models.Dataset.Purpose",
    "ProposalKindEnum": "approvals.models.Proposal.Kind",
    "ProposalStateEnum": "approvals.models.Proposal.State",
    "ProofPurposeEnum": "approvals.proving.PURPOSES",
    "EnvironmentEnum": "approvals.workflow.ENVIRONMENTS",
    "ReviewEnvironmentEnum": "approvals.forms.ENVIRONMENTS",
    "GrantProposalStateEnum": "accounts.granting.models.PROPOSAL_STATES",
    "RecordStateEnum": "registry.api.records.STATES",
    "RequestStateEnum": "approvals.models.ReviewRequest.State",
    "RiskTierEnum": "registry.models.Model.Tier",
    "SealStateEnum": "audits.filters.SEALS",
    "TokenStateEnum": "accounts.models.TOKEN_STATES",
    "WebhookStateEnum": "notifications.webhooks.models.Webhook.State",
}
