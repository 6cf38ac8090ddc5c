"""Findings about versions, the conditions of approvals, and risks that somebody accepted for a while."""
