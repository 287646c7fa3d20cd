"""From telemetry to ranked suspects with evidence, purely."""
