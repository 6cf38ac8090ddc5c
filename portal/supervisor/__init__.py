"""Starts, watches, restarts and stops every process of the portal on one machine (`./run`)."""
