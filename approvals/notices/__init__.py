"""Telling people what becomes of requests and findings: written with the act, or found by looking at the clock."""
