"""What Alertmanager posts while an alert fires, a second one joins it, and both are resolved."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterator

from tests.shippers.fixture import Fixture, Sent
from tests.shippers.programs import program, until, version_line
from tests.shippers.prometheus import running_alerting
from tests.support.broker import Broker, ExistingBroker
from tests.support.receiver import Receiver, receiver


def posted(hook: Receiver, status: str, alerts: int) -> bytes | None:
    """Return the first body so far of a group with this status and at least so many alerts."""
    bodies = [(request.body, json.loads(request.body)) for request in list(hook.received)]
    return next(
        (raw for raw, body in bodies if body["status"] == status and len(body["alerts"]) >= alerts), None
    )


def fixtures(_broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Run Prometheus and Alertmanager and yield the notifications of one incident."""
    sent: list[Sent] = []
    with receiver() as hook, running_alerting(hook.url) as alerting:
        # Two rules may see the end in two evaluations: then the last notification has one alert.
        for errors, status, alerts in ((0.02, "firing", 1), (0.31, "firing", 2), (0.0, "resolved", 1)):
            alerting.errors.set(errors)
            body = until(
                functools.partial(posted, hook, status, alerts),
                f"Alertmanager posts {alerts} alerts {status}",
                alerting.tail,
            )
            sent.append(Sent(value=body, received=time.time_ns()))
    manager, server = (
        version_line([program(name, name), "--version"]).split("version ")[1].split()[0]
        for name in ("prometheus-alertmanager", "prometheus")
    )
    yield Fixture(
        name="alertmanager-webhook",
        format="alertmanager",
        program="Prometheus and Alertmanager, webhook v4",
        version=f"Alertmanager {manager.rstrip(',')}, Prometheus {server.rstrip(',')}",
        command="python -m tests.shippers alertmanager",
        suffix="json",
        sent=tuple(sent),
    )
