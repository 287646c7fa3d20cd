"""From bytes on a topic to closed windows: decode, redact, find templates, summarise."""
