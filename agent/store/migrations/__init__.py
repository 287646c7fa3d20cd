"""Alembic's scripts, shipped in the package: one file a step, never edited once released."""
