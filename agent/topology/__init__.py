"""Who calls whom and what runs where, as telemetry and the user tell it."""

from agent.topology.graph import Topology

__all__ = ["Topology"]
