"""The pages about accounts: one's own, and everybody else's."""
