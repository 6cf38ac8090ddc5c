"""Versions without bytes here: vendor and API-only models, known by what can be pinned."""
