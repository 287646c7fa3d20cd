"""Starts a shipper's program and ends it again, and reads what it wrote to a Kafka topic.

Nothing is left behind: a program dies with the Python process that started it, whatever ends that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from tests.shippers.fixture import Sent

PATIENCE_S = 60.0
PLACES = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where Debian keeps daemons; not in the PATH of an ordinary user."""

T = TypeVar("T")


class ShipperError(RuntimeError):
    """A program cannot be had or did not do its part; the message says what to do."""


def program(name: str, package: str) -> str:
    """Return the path of a program. Raises ShipperError with the package to install."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))
    if found is None:
        raise ShipperError(f"`{name}` is missing. On Debian or Ubuntu: `apt-get install -y {package}`.")
    return found


def version_line(command: Sequence[str], begins: str = "") -> str:
    """Return the first line beginning so that a program prints about itself. Raises ShipperError."""
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    lines = (run.stdout + run.stderr).strip().splitlines()
    found = next((line for line in lines if line.startswith(begins)), None)
    if found is None:
        raise ShipperError(f"`{' '.join(command)}` does not say its version")
    return found


@contextlib.contextmanager
def running(
    command: Sequence[str], folder: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[Callable[[], str]]:
    """Run a program in `folder` until the block ends; yields a function that returns the end of its output.

    It sees UTC, so that times without a zone mean the same on every machine.
    """
    log = folder / f"{Path(command[0]).name}.log"
    setpriv = shutil.which("setpriv")
    guarded = [*([setpriv, "--pdeathsig", "KILL"] if setpriv else []), *command]

    def tail() -> str:
        ended = "" if process.poll() is None else f"{command[0]} ended with {process.returncode}\n"
        return ended + "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])

    with log.open("wb") as out:
        process = subprocess.Popen(
            guarded,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, "TZ": "UTC", **(environment or {})},
        )
    try:
        yield tail
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(look: Callable[[], T | None], what: str, tail: Callable[[], str]) -> T:
    """Look until there is something, and return it. Raises ShipperError with the program's last words."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.1)
    raise ShipperError(f"did not happen within {PATIENCE_S:g} s: {what}\n{tail()}")


def consume(
    bootstrap: str,
    topic: str,
    count: int,
    tail: Callable[[], str],
    keep: Callable[[Sent], bool] = lambda _: True,
) -> tuple[Sent, ...]:
    """Return the first `count` records to `keep` of a topic of one partition. Raises ShipperError."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        got: list[Sent] = []

        def enough() -> bool:
            for batch in consumer.poll(timeout_ms=200).values():
                got.extend(filter(keep, map(_sent, batch)))
            return len(got) >= count

        until(enough, f"{count} records in topic {topic}", tail)
        return tuple(got[:count])
    finally:
        consumer.close()


def _sent(record: ConsumerRecord) -> Sent:
    return Sent(
        value=record.value,
        key=record.key,
        headers=tuple(record.headers or ()),
        received=record.timestamp * 1_000_000,
    )
