"""Between a decoder and its events: whose telemetry this is, from attributes and the topic's defaults.

Pure. The first name that is present wins, in the order that CONTRACTS' *Identity* gives; OpenTelemetry's
names come before the ones other shippers use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ingest.events import Resource, TopicDefaults

_HOST = ("host.name", "host.hostname", "hostname", "host")
ENVIRONMENT = (
    "deployment.environment.name",
    "deployment.environment",
    "deployment_environment_name",
    "deployment_environment",
    "service.environment",
    "environment",
    "env",
)
SERVICE = (
    "service.name",
    "service_name",
    "serviceName",
    "service",
    "app.kubernetes.io/name",
    "application",
    "app",
    "kubernetes.labels.app.kubernetes.io/name",
    "kubernetes.labels.app",
    "kubernetes.pod_labels.app.kubernetes.io/name",
    "kubernetes.pod_labels.app",
    "k8s.deployment.name",
    "k8s.statefulset.name",
    "k8s.daemonset.name",
    "k8s.cronjob.name",
    "k8s.job.name",
    "kubernetes.deployment.name",
    "kubernetes.statefulset.name",
    "kubernetes.daemonset.name",
    "k8s.container.name",
    "kubernetes.container_name",
    "kubernetes.container.name",
    "container.name",
    "container_name",
)
INSTANCE = (
    "k8s.pod.name",
    "kubernetes.pod_name",
    "kubernetes.pod.name",
    "pod_name",
    "pod",
    "service.instance.id",
    "instance",
    "container.id",
    "container_id",
    *_HOST,
)
NODE = (
    "k8s.node.name",
    "kubernetes.node.name",
    "kubernetes.pod_node_name",
    "kubernetes.host",
    "node_name",
    "node",
    *_HOST,
)
_PLACEHOLDER = "unknown_service"
"""What OpenTelemetry SDKs write when nobody named the service; any other name is better."""


class Names(NamedTuple):
    """The attributes that say whose telemetry it is, in the order in which they are believed."""

    environment: tuple[str, ...]
    service: tuple[str, ...]
    instance: tuple[str, ...]
    node: tuple[str, ...]


EVERY = Names(ENVIRONMENT, SERVICE, INSTANCE, NODE)


def resolve(attributes: Mapping[str, object], defaults: TopicDefaults) -> Resource:
    """Return whose telemetry `attributes` describe; what they leave out comes from the topic."""
    return identify(attributes, defaults)[0]


def identify(
    attributes: Mapping[str, object], defaults: TopicDefaults, among: Names = EVERY
) -> tuple[Resource, tuple[str, ...]]:
    """Return the resource and the names of the attributes that it was read from.

    `among` may leave out names that the attributes do not have.
    """
    found = [_first(attributes, names) for names in among]
    if defaults.extra:
        fallback = dict(defaults.extra)
        for place, (one, names) in enumerate(zip(found, EVERY, strict=True)):
            if one[0] is None:
                found[place] = _first(fallback, names)
    (_, environment), (_, service), (instance_from, instance), (node_from, node) = found
    if node == instance and node_from in _HOST and instance_from != node_from:
        node = None  # inside a container the host's name is the container's own
    resource = Resource(
        environment=environment or defaults.environment,
        service=service or defaults.service,
        instance=instance,
        node=node,
    )
    return resource, tuple([name for name, _ in found if name is not None])


def _first(attributes: Mapping[str, object], names: tuple[str, ...]) -> tuple[str, str] | tuple[None, None]:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value and not value.startswith(_PLACEHOLDER):
            return name, value
    return None, None
