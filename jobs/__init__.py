"""Long work: rows that are claimed, fenced, watched, cancelled and reconciled. Knows no domain."""
