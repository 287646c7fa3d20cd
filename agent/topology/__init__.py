"""Who calls whom, as telemetry shows it."""
