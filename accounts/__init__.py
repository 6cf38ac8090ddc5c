"""People, service accounts, teams, roles, grants, API tokens, signing in."""
