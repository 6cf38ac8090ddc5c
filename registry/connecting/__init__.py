"""Datasets that stay where they are: connections to databases elsewhere. Only counts come here, but for batches."""
