"""Batches: an approved version run over a whole table, in chunks that are kept, for as long as the gate says yes."""
