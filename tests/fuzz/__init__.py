"""Mutated records against every decoder and the regular expressions behind it: `python -m tests.fuzz`."""
