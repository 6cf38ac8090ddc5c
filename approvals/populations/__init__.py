"""Populations for auditors: all of something in a period, its count and digest, and a sample that can be redrawn."""
