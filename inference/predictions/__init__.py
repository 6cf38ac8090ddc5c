"""The prediction log: one row for each request that held a valid key, written by the gateway, kept for so many days."""
