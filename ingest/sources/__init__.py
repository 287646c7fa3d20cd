"""Where records come from: Kafka, or records that somebody already holds. One port, `ingest.sources.port`."""
