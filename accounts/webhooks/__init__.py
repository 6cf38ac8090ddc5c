"""The pages and API of webhooks: they name teams and people, which the outbox below does not know."""
