"""Erasure of what the log discloses (GDPR, Article 17) by two people, and the legal holds that stand in its way."""
