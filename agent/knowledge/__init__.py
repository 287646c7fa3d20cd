"""Runbooks: loading, the index, search."""
