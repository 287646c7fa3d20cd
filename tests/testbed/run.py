"""One run from an empty machine to a recording: start, watch, break, mend, stop.

Whatever happens in between, everything that was started is stopped; processes also end by themselves when
this one is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.broker import Broker
from tests.testbed.background import HEAL, INJECT, Background, Deed, Mark, regular, sparse
from tests.testbed.daily import DAY_VARIABLE, Day
from tests.testbed.faults import Fault
from tests.testbed.priority import schedule_below
from tests.testbed.recording import (
    HeldOut,
    Times,
    finish_case,
    start_recorder,
    stop_recorder,
    write_truth,
)
from tests.testbed.services.telemetry import TOPICS, WITHOUT
from tests.testbed.shop import VERSIONS, Shop

PARTITIONS = 3
SETTLE_S = 6.0
"""Telemetry is up to a metric interval behind."""
FAVOUR_S = 5.0
"""How soon a process that was started since runs as the others do."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long each part takes, in seconds, and how the shop is set up.

    `day` is how busy it is when; without `background` nothing happens but the fault; `without` names signals
    that the shop does not send; what comes `held_out_after_s` after the start is held out, None is nothing;
    `realtime` lets the shop run ahead of everything else on the machine.
    """

    warmup_s: float
    baseline_s: float
    duration_s: float
    after_s: float
    rate: float
    traces: float
    seed: int
    niceness: int
    realtime: bool = False
    day: Day = field(default_factory=Day)
    background: bool = True
    without: tuple[str, ...] = ()
    held_out_after_s: float | None = None


def run(fault: Fault, dataset: Path, plan: Plan, say: Say, *, name: str = "") -> Path:
    """Make one recording and return its folder. Raises ProcessError or BrokerError with what went wrong."""
    case = dataset / (name or fault.name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Whatever is started from here on inherits it.
    os.environ.update({DAY_VARIABLE: plan.day.text(), WITHOUT: ",".join(plan.without)})
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
        fresh = scratch / case.name
        operated = _Operation(fault, shop, plan, say).record(broker.bootstrap, fresh, scratch)
        finish_case(fresh, fault, operated.times, notes=_notes(plan), marks=operated.marks)
        # Only a whole recording takes the place of an older one.
        dataset.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(case, ignore_errors=True)
        shutil.move(fresh, case)
    write_truth(dataset, case.name, fault, _held_out(plan, operated.times))
    return case


def _held_out(plan: Plan, times: Times) -> HeldOut:
    if not plan.held_out_after_s:
        return HeldOut(whole=plan.held_out_after_s is not None)
    return HeldOut(after=times.start + timedelta(seconds=plan.held_out_after_s))


def _notes(plan: Plan) -> list[str]:
    notes = [f"{plan.rate:g} requests/s on average; {plan.traces:.0%} of traces are kept."]
    if plan.day.depth:
        notes.append(
            f"A day takes {plan.day.length_s:g} s and swings by {plan.day.depth:.0%}; "
            f"the run begins at hour {plan.day.begins:.1f}."
        )
    if plan.without:
        notes.append(f"Left out: {', '.join(plan.without)}.")
    return notes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Operated:
    """What was done, and when."""

    times: Times
    marks: Sequence[Mark]


class _Operation:
    """A shop from its first customer to the end of its recording."""

    def __init__(self, fault: Fault, shop: Shop, plan: Plan, say: Say) -> None:
        self._fault, self._shop, self._plan, self._say = fault, shop, plan, say
        faulty = fault.truth.service if fault.truth else None
        deeds: tuple[Deed, ...]
        if not plan.background:
            deeds = ()
        elif faulty is None:
            deeds = regular(plan.seed, plan.baseline_s + plan.duration_s, VERSIONS)
        else:
            deeds = sparse(plan.seed, plan.baseline_s, plan.duration_s, VERSIONS, faulty=faulty)
        self._background = Background(deeds, VERSIONS, plan.seed, say)
        self._marks: list[Mark] = []
        self._began: float | None = None

    def record(self, bootstrap: str, case: Path, scratch: Path) -> _Operated:
        """Open the shop, break it, and have all of it recorded."""
        self._say("starting Redis, PostgreSQL and the services")
        self._shop.start()
        self._fault.check(self._shop)
        self._shop.open_doors()
        self._favour()
        self._watch(self._plan.warmup_s, "customers come in, warming up")
        recorder = start_recorder(bootstrap, case, scratch / "recorder.console")
        self._favour()
        try:
            self._watch(SETTLE_S, "recording")
            times = self._break()
            self._watch(SETTLE_S, "letting the last telemetry arrive")
            recorder.require()
        finally:
            stop_recorder(recorder, case)
        return _Operated(times=times, marks=[*self._marks, *self._background.marks])

    def _break(self) -> Times:
        plan, fault = self._plan, self._fault
        self._began = time.monotonic()
        start = datetime.now(UTC)
        if fault.truth is None:
            self._watch(plan.baseline_s + plan.duration_s, fault.summary)
            end = datetime.now(UTC)
            return Times(start=start, injected=end, healed=end, end=end)
        self._watch(plan.baseline_s, "baseline")
        injected = self._mark(INJECT)
        self._say(f"injecting {fault.name}: {fault.summary}")
        fault.inject(self._shop)
        self._watch(plan.duration_s, fault.name)
        healed = datetime.now(UTC)
        if plan.after_s:
            self._say("mending")
            healed = self._mark(HEAL)
            fault.heal(self._shop)
            self._watch(plan.after_s, "afterwards")
        return Times(start=start, injected=injected, healed=healed, end=datetime.now(UTC))

    def _mark(self, what: str) -> datetime:
        now = datetime.now(UTC)
        self._marks.append(Mark(time=now, what=what, harmless=False))
        return now

    def _favour(self) -> None:
        # Started without it: a shop that starts must not disturb those that run beside it.
        if self._plan.realtime:
            schedule_below(os.getpid())

    def _watch(self, seconds: float, what: str) -> None:
        """Wait, let happen what happens anyway, and notice within a second when something has died."""
        self._say(f"{what}: {seconds:g} s")
        until = favoured = time.monotonic()
        until += seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            self._shop.require()
            if self._began is not None:
                self._background.happen(self._shop, time.monotonic() - self._began)
            if time.monotonic() - favoured > FAVOUR_S:
                favoured = time.monotonic()
                self._favour()


def _stop(shop: Shop, say: Say) -> None:
    say("stopping the shop")
    answers = shop.stop()
    say(f"customers were answered {answers}")
