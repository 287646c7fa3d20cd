"""What survives a restart: incidents, outbox, telemetry memory, leases."""
