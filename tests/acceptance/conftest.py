"""Fixtures of the acceptance tests: real weights, topics of one service, and the shipped recording."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.registry import DEFAULT_CHAT_MODEL, EMBEDDING_MODEL
from tests.support.broker import Broker, ExistingBroker
from tests.support.weights import weights_home

RECORDINGS = Path(__file__).resolve().parents[1] / "recordings" / "demo"
SIGNALS = ("logs", "metrics", "traces", "changes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """Names that one service of one test has for itself."""

    prefix: str
    bootstrap: str

    @property
    def group(self) -> str:
        return f"{self.prefix}group"

    @property
    def incidents(self) -> str:
        return f"{self.prefix}incidents"

    @property
    def dead_letters(self) -> str:
        return f"{self.prefix}dead-letter"


@pytest.fixture(scope="module")
def topics(broker: Broker | ExistingBroker) -> Topics:
    """Create fresh topics under a prefix of their own: telemetry, incidents and dead letters."""
    made = Topics(prefix=f"acceptance-{uuid.uuid4().hex[:8]}.", bootstrap=broker.bootstrap)
    for signal in SIGNALS:
        broker.create_topic(made.prefix + signal, partitions=1)
    broker.create_topic(made.incidents)
    broker.create_topic(made.dead_letters)
    return made


@pytest.fixture(scope="session")
def default_weights() -> Path:
    """Return a models folder that holds the default chat model and the embeddings."""
    return weights_home(DEFAULT_CHAT_MODEL, EMBEDDING_MODEL)


@pytest.fixture(scope="session")
def slow_dependency() -> Path:
    """Return the shipped recording of a slow dependency."""
    return RECORDINGS / "slow-dependency"
