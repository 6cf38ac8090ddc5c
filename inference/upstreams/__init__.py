"""Endpoints whose predictions another server makes: which, how it is asked, and with what secret."""
