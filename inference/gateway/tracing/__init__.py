"""OpenTelemetry traces of the gateway. Nothing here is imported unless a receiver is set."""
