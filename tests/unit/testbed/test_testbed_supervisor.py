"""The supervisor brings services back as a cluster does; its processes are real, its clock is ours."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.testbed.processes import Child, ProcessError, start
from tests.testbed.supervisor import MOST_RESTARTS, RESTART_AFTER_S, Services

IDLE = "import time; time.sleep(600)"


class Cluster:
    """Starts processes that idle, and says which pod of each service was started last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.code = IDLE
        self.now = 100.0
        self.launched: list[tuple[str, str, str, int]] = []
        self.services = Services(self.launch, self.answering, clock=lambda: self.now, memory_limit=10**9)

    def launch(self, name: str, *, version: str, pod: str, restarts: int) -> Child:
        self.launched.append((name, version, pod, restarts))
        return start(name, [sys.executable, "-c", self.code], console=self._folder / f"{name}.console")

    def answering(self, name: str) -> str | None:
        if self.code != IDLE:
            return None
        return next((pod for known, _, pod, _ in reversed(self.launched) if known == name), None)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Run one service, cart."""
    running = Cluster(tmp_path)
    running.services.start({"cart": "1.0.0"})
    yield running
    running.services.stop()


def test_dead_service_comes_back_in_its_pod_after_a_while(cluster: Cluster) -> None:
    """Version and pod stay, the restart is counted, and nothing happens before the back-off is over."""
    first = cluster.services["cart"]
    first.child.kill()
    cluster.services.make_round()
    cluster.now += RESTART_AFTER_S - 1
    cluster.services.make_round()
    assert len(cluster.launched) == 1
    cluster.now += 1
    cluster.services.make_round()
    assert cluster.launched[1] == ("cart", "1.0.0", first.pod, 1)
    assert cluster.services["cart"].child.running


def test_service_that_keeps_dying_is_given_up(cluster: Cluster) -> None:
    """A mistake of ours must not look like an incident for ever."""
    for _ in range(MOST_RESTARTS):
        cluster.services["cart"].child.kill()
        cluster.services.make_round()
        cluster.now += RESTART_AFTER_S
        cluster.services.make_round()
    cluster.services["cart"].child.kill()
    with pytest.raises(ProcessError, match="cart ended with -9"):
        cluster.services.make_round()


def test_service_beyond_its_memory_is_killed(tmp_path: Path) -> None:
    """The limit is the kernel's: no warning, no clean end."""
    cluster = Cluster(tmp_path)
    cluster.services = Services(cluster.launch, cluster.answering, clock=lambda: cluster.now, memory_limit=1)
    cluster.services.start({"cart": "1.0.0"})
    cluster.services.make_round()
    assert not cluster.services["cart"].child.running
    cluster.services.stop()


@pytest.mark.parametrize("how", [Services.replace, Services.restart], ids=["replace", "restart"])
def test_new_pod_takes_the_place_of_the_old(
    cluster: Cluster, how: Callable[[Services, str, str], None]
) -> None:
    """Either way the old process is gone, and another pod of the new version runs."""
    first = cluster.services["cart"]
    how(cluster.services, "cart", "1.0.1")
    assert not first.child.running
    assert cluster.services["cart"].version == "1.0.1"
    assert cluster.services["cart"].pod != first.pod


def test_service_that_never_starts_says_why(cluster: Cluster) -> None:
    """The error holds what the process printed last."""
    cluster.code = "raise SystemExit('no such setting')"
    with pytest.raises(ProcessError, match="no such setting"):
        cluster.services.restart("cart", "1.0.2")
