"""Second step of the flow: one module a wire format, each turning a record's bytes into events."""
