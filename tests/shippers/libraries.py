"""What reference libraries for Python write: CloudEvents' SDK in both modes of Kafka, Elastic's logger.

They are no requirements of ours: `pip install` them to make their fixtures again.
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from types import ModuleType
from typing import Any

from tests.shippers.fixture import Fixture, Sent
from tests.shippers.programs import ShipperError
from tests.support.broker import Broker, ExistingBroker

CLOUDEVENTS, ECS_LOGGING = "2.2.0", "2.3.0"
_CHARGE = "def charge(order):\n    return order['iban']\n"


def _library(name: str, package: str) -> ModuleType:
    """Return a module. Raises ShipperError with what to install."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ShipperError(f"`{name}` is missing: `{sys.executable} -m pip install {package}`.") from None


def _changes() -> Iterator[tuple[dict[str, Any], Any]]:
    """Yield attributes and data of changes: a deploy, a flag, a configuration, and an event that is none."""
    at = datetime.now(tz=UTC)
    source = "https://deploy.example.org/shop"
    deploy = {"kind": "deploy", "service": "checkout", "version": "2.4.1", "environment": "prod"}
    yield {"type": "org.example.deploy.finished", "subject": "checkout", "source": source, "time": at}, deploy
    flag = {"flag": "new-pricing", "service": "cart", "state": "on", "title": "new-pricing on for 10 %"}
    yield {"type": "org.example.flag.changed", "source": source, "time": at}, flag
    config = {"change": "config", "title": "pool size 20 → 5", "service.name": "payments"}
    yield {"type": "org.example.change.v1", "source": source, "time": at}, config
    yield {"type": "org.example.order.placed", "source": source, "time": at}, {"order": "o-17"}


def cloudevents(_broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Yield changes as the CloudEvents SDK writes them to Kafka, in binary and in structured mode."""
    package = f"cloudevents=={CLOUDEVENTS}"
    core = _library("cloudevents.core.v1.event", package)
    kafka = _library("cloudevents.core.bindings.kafka", package)
    formats = _library("cloudevents.core.formats.json", package)
    modes: dict[str, Callable[..., Any]] = {
        "binary": kafka.to_binary,
        "structured": kafka.to_structured,
    }
    for mode, write in modes.items():
        sent = []
        for number, (attributes, data) in enumerate(_changes()):
            described = {**attributes, "id": f"change-{number}", "specversion": "1.0"}
            event = core.CloudEvent({**described, "datacontenttype": "application/json"}, data)
            message = write(event, formats.JSONFormat())
            sent.append(
                Sent(
                    value=bytes(message.value),
                    key=message.key,
                    headers=tuple((name, bytes(value)) for name, value in message.headers.items()),
                    received=time.time_ns(),
                )
            )
        yield Fixture(
            name=f"cloudevents-{mode}",
            format="cloudevents",
            program=f"CloudEvents SDK for Python, Kafka binding, {mode} mode",
            version=version("cloudevents"),
            command="python -m tests.shippers cloudevents",
            suffix="json",
            sent=tuple(sent),
        )


def ecs_logging(_broker: Broker | ExistingBroker) -> Iterator[Fixture]:
    """Yield what a program that logs with Elastic's formatter writes."""
    formatter = _library("ecs_logging", f"ecs-logging=={ECS_LOGGING}").StdlibFormatter(
        extra={"service.name": "checkout", "service.environment": "prod", "host.name": "web-1"}
    )
    lines: list[str] = []
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.emit = lambda record: lines.append(handler.format(record))  # type: ignore[method-assign]
    logger = logging.getLogger("checkout.pay")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    scope: dict[str, Any] = {"logger": logger}
    body = (
        _CHARGE
        + "logger.info('order %s took %d ms', 'o-17', 38)\n"
        + "logger.warning('slow upstream', extra={'trace.id': '4bf92f3577b34da6a3ce929d0e0e4736'})\n"
        + "try:\n    charge({})\nexcept KeyError:\n    logger.exception('charging failed')\n"
    )
    exec(compile(body, "/srv/shop/pay.py", "exec"), scope)
    logger.removeHandler(handler)
    yield Fixture(
        name="ecs-logging",
        format="ecs",
        program="ecs-logging for Python",
        version=version("ecs-logging"),
        command="python -m tests.shippers ecs-logging",
        suffix="json",
        sent=tuple(Sent(value=line.encode(), received=time.time_ns()) for line in lines),
    )
