"""The outbox: what is to be told to whom, written in the transaction of the act. Knows addresses, not people."""
