"""The composition root: every adapter is constructed here, from settings, and nowhere else."""

from agent.app.service import Service, build

__all__ = ["Service", "build"]
