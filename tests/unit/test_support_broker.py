"""The broker launcher on a machine that lacks what it needs: it fails saying what to install."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.broker import BrokerError, ExistingBroker, beside, kafka_jars, shared_broker


@pytest.mark.parametrize(("present", "missing"), [((), "Java"), (("java",), "Maven")])
def test_missing_tools_are_named_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, present: tuple[str, ...], missing: str
) -> None:
    """Without a JDK or Maven the error names it, the package to install and the way around."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in present:
        (tools / name).write_text("#!/bin/sh\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(BrokerError, match=f"{missing}.*apt-get install.*FAULTLINE_TEST_KAFKA"):
        kafka_jars(tmp_path / "cache")


def test_an_existing_broker_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment variable wins over starting one, and stopping leaves it alone."""
    monkeypatch.setenv("FAULTLINE_TEST_KAFKA", "kafka.example:9092")
    broker = shared_broker()
    assert isinstance(broker, ExistingBroker)
    assert broker.bootstrap == "kafka.example:9092"
    broker.stop()


def test_a_command_is_told_the_address_and_its_exit_code_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make bench` runs gets the broker in place of {}, and its failure is ours."""
    monkeypatch.setenv("FAULTLINE_TEST_KAFKA", "kafka.example:9092")
    code = "import sys; sys.exit(7 if sys.argv[1] == 'kafka.example:9092' else 1)"
    assert beside([sys.executable, "-c", code, "{}"]) == 7
