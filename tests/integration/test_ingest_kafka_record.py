"""`faultline record` as a user runs it: a process on a real broker, ended by a signal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.record_command import command
from ingest.kafka_producer import Producer
from ingest.recordings import Recording
from tests.support.broker import Broker, ExistingBroker
from tests.support.ports import free_port
from tests.support.streams import until

FAULTLINE = [sys.executable, "-c", "from agent.cli import main; main()"]


def _send(bootstrap: str, topic: str, bodies: list[str]) -> None:
    producer = Producer(bootstrap_servers=bootstrap)
    for body in bodies:
        line = {"time": time.time_ns(), "service.name": "cart", "severity_text": "INFO", "body": body}
        producer.send(topic, key=b"cart", value=json.dumps(line).encode())
    producer.flush()
    producer.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_records_until_a_signal_and_leaves_a_readable_recording(
    broker: Broker | ExistingBroker, topic: str, tmp_path: Path, how: signal.Signals
) -> None:
    """All that was sent before the signal is in the recording, with the incident that was named."""
    out = tmp_path / "slow-db"
    times = ["--incident-start", "2026-01-31T14:05:00Z", "--incident-end", "2026-01-31T14:08:00Z"]
    arguments = ["record", "--bootstrap", broker.bootstrap, "--topic", topic, "--out", str(out), *times]
    with subprocess.Popen(
        [*FAULTLINE, *arguments], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        seen: list[str] = []
        reading = threading.Thread(target=lambda: seen.extend(iter(run.stderr.readline, "")), daemon=True)  # type: ignore[union-attr]
        reading.start()
        until(lambda: any("recording 2 partitions" in line for line in seen), "partitions")
        _send(broker.bootstrap, topic, [f"line {number}" for number in range(50)])
        run.send_signal(how)
        assert run.wait(timeout=60) == 0
        reading.join()
        assert run.stdout is not None
        assert "50 logs" in run.stdout.read()
    recording = Recording(out)
    assert len(list(recording.records())) == 50
    incident = recording.intervals().incident
    assert incident is not None
    assert incident.length == 180 * 1_000_000_000


def test_records_what_the_topics_hold_for_a_duration(
    broker: Broker | ExistingBroker, topic: str, tmp_path: Path
) -> None:
    """`--from earliest` takes what was there before; a client setting passes through."""
    _send(broker.bootstrap, topic, ["one", "two"])
    arguments = ["record", "--bootstrap", broker.bootstrap, "--topic", topic, "--out", str(tmp_path / "r")]
    arguments += ["--from", "earliest", "--duration", "5s", "--client", "fetch_max_wait_ms=100"]
    run = subprocess.run([*FAULTLINE, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "2 logs" in run.stdout


def test_nothing_recorded_is_an_error_that_helps(tmp_path: Path) -> None:
    """Without a broker the command says what to check, and leaves no recording behind."""
    out = tmp_path / "r"
    arguments = ["record", "--bootstrap", f"127.0.0.1:{free_port()}", "--topic", "t", "--out", str(out)]
    arguments += ["--duration", "1s", "--client", "bootstrap_timeout_ms=300"]
    run = subprocess.run([*FAULTLINE, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "check --bootstrap" in run.stderr
    assert not (out / "case.json").exists()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--duration", "ten minutes"], "write 90s, 10m or 2h"),
        (["--incident-start", "2026-01-31T14:05:00Z"], "go together"),
        (["--incident-start", "noon", "--incident-end", "later"], "is no time"),
        (["--client", "linger"], "has no value"),
        (["--client", "fetch_max_byte=1"], "did you mean 'fetch_max_bytes'"),
        (["--format", "xml"], "no format 'xml'"),
    ],
)
def test_wrong_options_say_what_to_write(tmp_path: Path, wrong: list[str], says: str) -> None:
    """Each mistake is named with what is expected, before anything is connected or written."""
    arguments = ["--bootstrap", "x:1", "--topic", "t", "--out", str(tmp_path / "r"), *wrong]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code != 0
    assert says in " ".join(result.output.split())
    assert not (tmp_path / "r").exists()
