"""Filters of the inventory that people keep under a name, for themselves or for a team."""
