"""Real servers and tools that tests start: nothing here is part of the service."""
