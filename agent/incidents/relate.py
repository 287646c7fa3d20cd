"""What belongs together: same service, neighbours in the topology, or the same node. Nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from agent.incidents.state import Live, by_age
from agent.topology import Topology
from detectors.anomaly import Anomaly
from ingest.record import Nanos


def services_related(topology: Topology, environment: str, first: str, second: str) -> bool:
    """Say whether what hits one service may be the same trouble as what hits the other."""
    return (
        first == second
        or topology.adjacent(environment, first, second)
        or topology.same_node(environment, first, second)
    )


def related(topology: Topology, first: Anomaly, second: Anomaly) -> bool:
    """Say whether two anomalies may be of one incident."""
    if first.environment != second.environment:
        return False
    if first.node is not None and first.node == second.node:
        return True
    return services_related(topology, first.environment, first.service, second.service)


def joins(topology: Topology, anomaly: Anomaly, live: Live, within: Nanos) -> bool:
    """Say whether an anomaly belongs to an open incident: near in time and in the system."""
    incident = live.incident
    if incident.environment != anomaly.environment or not live.open:
        return False
    if anomaly.end - incident.last_anomaly_at > within and not live.alerts:
        return False
    if anomaly.node is not None and any(one.node == anomaly.node for one in live.members.values()):
        return True
    return any(
        services_related(topology, anomaly.environment, anomaly.service, service)
        for service in incident.services
    )


def touching(topology: Topology, first: Live, second: Live, within: Nanos) -> bool:
    """Say whether two open incidents have turned out to be one."""
    if first.incident.environment != second.incident.environment:
        return False
    if abs(first.incident.last_anomaly_at - second.incident.last_anomaly_at) > within:
        return False
    environment = first.incident.environment
    return any(
        services_related(topology, environment, one, other)
        for one in first.incident.services
        for other in second.incident.services
    )


def former(live: Iterable[Live], group: Iterable[Anomaly]) -> Live | None:
    """Return the incident, resolved lately, that a group of anomalies is again: one of the same services."""
    found = None
    known = tuple(by_age(live))
    for anomaly in group:
        for one in known:
            same = one.incident.environment == anomaly.environment
            if same and not one.open and anomaly.service in one.incident.services:
                found = one
    return found
