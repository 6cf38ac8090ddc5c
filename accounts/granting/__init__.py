"""Granting roles, proposing grants that take two people, and confirming access again and again."""
