"""Which notifications people want, and telling people: here the outbox's addresses become persons."""
