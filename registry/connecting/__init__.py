"""Datasets that stay where they are: connections to databases elsewhere, of which only counts come here."""
