"""From analyses to people: decide, outbox, channels."""
