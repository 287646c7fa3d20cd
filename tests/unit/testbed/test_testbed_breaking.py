"""How the shop's services break, piece by piece: quota, journal, network, availability, memory, jobs."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from opentelemetry.metrics import NoOpMeter
from opentelemetry.trace import NoOpTracer

from tests.support.ports import free_port
from tests.testbed import volume
from tests.testbed.faults import DISK_FULL, FAULTS
from tests.testbed.processes import ProcessError
from tests.testbed.services.journal import FLAG, KEPT, SEGMENT_BYTES, Journal, JournalError
from tests.testbed.services.network import LOSS, network_of
from tests.testbed.services.peers import Peer
from tests.testbed.services.quota import Quota
from tests.testbed.services.storefront import LIVE, Availability
from tests.testbed.services.telemetry import left_out
from tests.testbed.shop import Shop

LOG = logging.getLogger("shop.test")


def test_quota_stops_the_process_when_it_is_used_up() -> None:
    """Who burns without end gets his share of each period and stands still for the rest."""
    quota = Quota(percent=20, period_s=0.05)
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < 1.0:
        sum(range(500))
        quota.spend()
    share = (time.process_time() - used) / (time.monotonic() - began)
    assert quota.throttled_s > 0
    assert share < 0.45


def test_quota_stops_nobody_who_uses_little() -> None:
    """A process that mostly waits is never stopped."""
    quota = Quota(percent=50, period_s=0.05)
    for _ in range(20):
        time.sleep(0.01)
        quota.spend()
    assert quota.throttled_s == 0


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("segment-*"))


def test_journal_keeps_its_size_until_the_janitor_is_stopped(tmp_path: Path) -> None:
    """Only the newest segments stay; with the flag all do."""
    flags: dict[str, Any] = {}
    journal = Journal(tmp_path, log=LOG, flags=flags)
    for _ in range(KEPT + 3):
        journal.roll()
    assert len(_segments(tmp_path)) == KEPT
    assert _segments(tmp_path)[-1].name == f"segment-{KEPT + 3:06d}"
    flags[FLAG] = True
    journal.roll()
    assert len(_segments(tmp_path)) == KEPT + 1
    assert _segments(tmp_path)[0].stat().st_size <= SEGMENT_BYTES


def test_journal_that_cannot_be_written_says_why_without_the_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry fails loudly; a segment is logged; neither tells where the machine keeps its files."""
    journal = Journal(tmp_path / "gone", log=LOG, flags={})
    with pytest.raises(JournalError, match=r"^\[Errno 2\] No such file or directory$"):
        journal.append("order")
    journal.roll()
    assert "segment-000001 not written: [Errno 2]" in caplog.text
    assert str(tmp_path) not in caplog.text


def test_volume_is_as_small_as_asked_for_and_gone_afterwards(tmp_path: Path) -> None:
    """Where mounting works a file larger than the disk fails with ENOSPC; elsewhere the reason is told."""
    why = volume.why_no_volume(tmp_path)
    if why is not None:
        assert os.geteuid() != 0 or "mount" in why or "unshare" in why
        return
    fill = ["dd", "if=/dev/zero", f"of={tmp_path / 'file'}", "bs=1M", "count=4"]
    filled = subprocess.run(
        [*volume.volume_prefix(tmp_path, 1_000_000), *fill], capture_output=True, text=True, check=False
    )
    assert filled.returncode == 1
    assert "No space left on device" in filled.stderr
    assert list(tmp_path.iterdir()) == []


def test_disk_full_says_what_it_needs(tmp_path: Path) -> None:
    """Without a disk of limited size the fault is refused before anything is recorded."""
    shop = Shop(tmp_path, "127.0.0.1:9", rate=1.0, traces=0.0, seed=1)
    shop.why_no_volume = "unshare: unshare failed: Operation not permitted"
    with pytest.raises(ProcessError, match=r"not permitted\. Run as root.*CAP_SYS_ADMIN"):
        DISK_FULL.check(shop)
    for fault in set(FAULTS.values()) - {DISK_FULL}:
        fault.check(shop)


@pytest.fixture
def lossy() -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Serve on a network whose loss can be set; yields its address, its flags, and what has arrived."""
    app, flags, arrived, port = FastAPI(), dict[str, Any](), list[str](), free_port()

    @app.post("/things")
    def things() -> dict[str, str]:
        arrived.append("thing")
        return {}

    @app.get("/_health")
    def health() -> dict[str, str]:
        return {}

    config = uvicorn.Config(app, port=port, log_config=None, http=network_of(flags), ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}", flags, arrived
    server.should_exit = True
    thread.join(10)


def test_lost_requests_never_arrive(lossy: tuple[str, dict[str, Any], list[str]]) -> None:
    """The caller sees a broken connection or no answer; the testbed's own requests get through."""
    url, flags, arrived = lossy
    assert httpx.post(f"{url}/things", json={}).status_code == 200
    flags[LOSS] = 1.0
    seen = set()
    for _ in range(12):
        with pytest.raises(httpx.TransportError) as failed:
            httpx.post(f"{url}/things", json={}, timeout=0.2)
        seen.add(isinstance(failed.value, httpx.TimeoutException))
        assert httpx.get(f"{url}/_health").status_code == 200
    assert arrived == ["thing"]
    assert seen == {True, False}


class _Shelf:
    """An inventory that does not keep the product until it was asked so often."""

    def __init__(self, until: int) -> None:
        self.asked, self._until = 0, until

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        known = self.asked >= self._until
        return httpx.Response(200 if known else 404, json={"available": True})


@pytest.mark.parametrize(("live", "asked"), [(False, 1), (True, 15)])
def test_live_availability_asks_without_a_pause(live: bool, asked: int) -> None:
    """One question is enough, unless live availability takes no for a not yet."""
    shelf = _Shelf(15)
    meter, tracer = NoOpMeter("t"), NoOpTracer()
    inventory = Peer("inventory", "http://inventory", caller="test", tracer=tracer, meter=meter)
    inventory._client = httpx.Client(base_url="http://inventory", transport=httpx.MockTransport(shelf))
    found = Availability(inventory, log=LOG, flags={LIVE: live}).of("SKU-0009")
    assert shelf.asked == asked
    assert found == ({"available": True} if live else None)


def test_left_out_signals() -> None:
    """Signals are named with commas; a misspelt one is an error that names those there are."""
    assert left_out("") == frozenset()
    assert left_out("logs, traces") == {"logs", "traces"}
    with pytest.raises(ValueError, match="logs, metrics, traces, changes"):
        left_out("spans")
