"""One run from an empty machine to a recording: start, watch, break, mend, stop.

Whatever happens in between, everything that was started is stopped; processes also end by themselves when
this one is killed.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.support.broker import Broker
from tests.testbed.faults import Fault
from tests.testbed.recording import Times, finish_case, start_recorder, stop_recorder, write_truth
from tests.testbed.services.telemetry import TOPICS
from tests.testbed.shop import Shop

PARTITIONS = 3
SETTLE_S = 6.0
"""Telemetry is up to a metric interval behind."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long each part takes, in seconds, and how the shop is set up."""

    warmup_s: float
    baseline_s: float
    duration_s: float
    after_s: float
    rate: float
    traces: float
    seed: int
    niceness: int


def run(fault: Fault, dataset: Path, plan: Plan, say: Say) -> Path:
    """Make one recording and return its folder. Raises ProcessError or BrokerError with what went wrong."""
    case = dataset / fault.name
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        # A folder that PostgreSQL's own user may enter.
        scratch = Path(tempfile.mkdtemp(prefix="faultline-shop-"))
        scratch.chmod(0o711)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        broker = Broker()
        stack.callback(broker.stop)
        say("starting Kafka")
        broker.start()
        for topic in TOPICS:
            broker.create_topic(topic, partitions=PARTITIONS)
        shop = Shop(
            scratch,
            broker.bootstrap,
            rate=plan.rate,
            traces=plan.traces,
            seed=plan.seed,
            niceness=plan.niceness,
        )
        stack.callback(_stop, shop, say)
        fresh = scratch / fault.name
        times = _operate(fault, shop, broker.bootstrap, fresh, scratch, plan, say)
        notes = [f"{plan.rate:g} requests/s on average; {plan.traces:.0%} of traces are kept."]
        finish_case(fresh, fault, times, notes=notes)
        # Only a whole recording takes the place of an older one.
        dataset.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(case, ignore_errors=True)
        shutil.move(fresh, case)
    write_truth(dataset, case.name, fault)
    return case


def _operate(
    fault: Fault, shop: Shop, bootstrap: str, case: Path, scratch: Path, plan: Plan, say: Say
) -> Times:
    say("starting Redis, PostgreSQL and the services")
    shop.start()
    shop.open_doors()
    _watch(shop, plan.warmup_s, "customers come in, warming up", say)
    recorder = start_recorder(bootstrap, case, scratch / "recorder.console")
    try:
        _watch(shop, SETTLE_S, "recording", say)
        start = datetime.now(UTC)
        _watch(shop, plan.baseline_s, "baseline", say)
        injected = datetime.now(UTC)
        say(f"injecting {fault.name}: {fault.summary}")
        fault.inject(shop)
        recorder.require()
        _watch(shop, plan.duration_s, fault.name, say)
        healed = datetime.now(UTC)
        if plan.after_s:
            say("mending")
            fault.heal(shop)
            _watch(shop, plan.after_s, "afterwards", say)
        end = datetime.now(UTC)
        _watch(shop, SETTLE_S, "letting the last telemetry arrive", say)
        recorder.require()
    finally:
        stop_recorder(recorder, case)
    return Times(start=start, injected=injected, healed=healed, end=end)


def _watch(shop: Shop, seconds: float, what: str, say: Say) -> None:
    """Wait, and notice within a second when something of the shop has died."""
    say(f"{what}: {seconds:g} s")
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(1.0, left))
        shop.require()


def _stop(shop: Shop, say: Say) -> None:
    say("stopping the shop")
    answers = shop.stop()
    say(f"customers were answered {answers}")
