"""Fixtures for the whole suite: the shared Kafka broker, and topics nobody else uses."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.support.broker import Broker, ExistingBroker, shared_broker

# The same examples on every run, so that a landing does not depend on luck; new ones are looked for on
# purpose, with FAULTLINE_TEST_RANDOM=1. How long an example takes says only how busy the machine is.
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("random"), derandomize=True)
settings.load_profile("random" if os.environ.get("FAULTLINE_TEST_RANDOM") else "steady")


@pytest.fixture(autouse=True)
def _logs_as_by_default() -> None:
    """Undo what a command of an earlier test said about logs: it would hide what this one listens for."""
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker | ExistingBroker]:
    """One broker a run; a machine that cannot have one fails here with what to install."""
    running = shared_broker()
    yield running
    running.stop()


@pytest.fixture
def topic(request: pytest.FixtureRequest, broker: Broker | ExistingBroker) -> str:
    """Return a fresh topic of two partitions."""
    readable = re.sub(r"[^a-zA-Z0-9]+", "-", str(request.node.name))[:60]
    name = f"{readable}-{uuid.uuid4().hex[:8]}"
    broker.create_topic(name, partitions=2)
    return name
