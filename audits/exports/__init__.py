"""The log as files. Each module writes one kind; `making` chooses, under one snapshot of the database."""
