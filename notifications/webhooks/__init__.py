"""Webhooks: programs elsewhere that are told what people are told, signed, through the same outbox."""
