"""Between a decoder and its events: whose telemetry this is, from attributes and the topic's defaults.

Pure. The first name that is present wins, in the order that CONTRACTS' *Identity* gives; OpenTelemetry's
names come before the ones other shippers use.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.events import Resource, TopicDefaults

ENVIRONMENT = (
    "deployment.environment.name",
    "deployment.environment",
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
    "host.name",
    "host.hostname",
    "hostname",
    "host",
)
NODE = (
    "k8s.node.name",
    "kubernetes.node.name",
    "kubernetes.pod_node_name",
    "kubernetes.host",
    "node_name",
    "node",
    "host.name",
    "host.hostname",
    "hostname",
    "host",
)
_PLACEHOLDER = "unknown_service"
"""What OpenTelemetry SDKs write when nobody named the service; any other name is better."""


def resolve(attributes: Mapping[str, object], defaults: TopicDefaults) -> Resource:
    """Return whose telemetry `attributes` describe; what they leave out comes from the topic."""
    return identify(attributes, defaults)[0]


def identify(attributes: Mapping[str, object], defaults: TopicDefaults) -> tuple[Resource, tuple[str, ...]]:
    """Return the resource and the names of the attributes that it was read from."""
    fallback = dict(defaults.extra)
    used: list[str] = []

    def first(names: tuple[str, ...]) -> str | None:
        for name in names:
            value = attributes.get(name)
            if isinstance(value, str) and value and not value.startswith(_PLACEHOLDER):
                used.append(name)
                return value
        return next((fallback[name] for name in names if fallback.get(name)), None)

    environment = first(ENVIRONMENT) or defaults.environment
    service = first(SERVICE) or defaults.service
    instance = first(INSTANCE)
    node = first(NODE)
    if node == instance and (not used or used[-1] not in NODE[:6]):
        node = None  # a host that is itself the instance has no machine below it
    resource = Resource(environment=environment, service=service, instance=instance, node=node)
    return resource, tuple(used)
