"""Every write of the registry: one function an act."""

from registry.services.datasets import (
    add_dataset,
    first_rows,
    profile_upload,
    record_dataset_download,
    record_rows_opened,
    register_dataset,
)
from registry.services.evidence import add_evidence, attach_evidence, withdraw_evidence
from registry.services.models import edit_model, register_model, set_risk_tier
from registry.services.uploads import artifact_of, receive_upload, record_download, record_upload
from registry.services.versions import add_contributors, add_version, edit_card, inspect_upload, register_version

__all__ = [
    "add_contributors",
    "add_dataset",
    "add_evidence",
    "add_version",
    "artifact_of",
    "attach_evidence",
    "edit_card",
    "edit_model",
    "first_rows",
    "inspect_upload",
    "profile_upload",
    "receive_upload",
    "record_dataset_download",
    "record_download",
    "record_rows_opened",
    "record_upload",
    "register_dataset",
    "register_model",
    "register_version",
    "set_risk_tier",
    "withdraw_evidence",
]
