"""What happens anyway: schedules by seed that keep away from faults, and marks of what was done."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testbed.background import (
    CACHE,
    DEPLOY,
    EXPIRE,
    RESTART,
    Background,
    Deed,
    next_patch,
    regular,
    sparse,
)

SERVICES = ("cart", "orders", "payments")
BASELINE, FAULT = 420.0, 150.0
seeds = st.integers(0, 10**6)


@given(seeds, st.sampled_from([*SERVICES, CACHE]))
def test_a_fault_keeps_its_service_and_its_onset(seed: int, faulty: str) -> None:
    """None to two things, a minute apart, never on the faulty service, not around onset and end."""
    deeds = sparse(seed, BASELINE, FAULT, SERVICES, faulty=faulty)
    assert len(deeds) <= 2
    assert all(later.at_s - earlier.at_s >= 60 for earlier, later in pairwise(deeds))
    for deed in deeds:
        assert deed.service != faulty
        assert 60 <= deed.at_s <= BASELINE + FAULT - 30
        assert abs(deed.at_s - BASELINE) >= 30
    assert sparse(seed, BASELINE, FAULT, SERVICES, faulty=faulty) == deeds


def test_seeds_differ_and_all_of_it_happens() -> None:
    """Over many runs there are none, one and two things, of every kind, before and during the fault."""
    runs = [sparse(seed, BASELINE, FAULT, SERVICES, faulty="cart") for seed in range(200)]
    assert {len(run) for run in runs} == {0, 1, 2}
    assert {deed.what for run in runs for deed in run} == {DEPLOY, RESTART, EXPIRE}
    assert {deed.at_s > BASELINE for run in runs for deed in run} == {True, False}


@given(seeds)
def test_a_quiet_run_has_something_every_few_minutes(seed: int) -> None:
    """Two hours hold eight to fifteen things, of every kind, 8 to 15 minutes apart."""
    deeds = regular(seed, 7200, SERVICES)
    assert 8 <= len(deeds) <= 15
    assert {deed.what for deed in deeds} == {DEPLOY, RESTART, EXPIRE}
    assert all(480 <= later.at_s - earlier.at_s <= 900 for earlier, later in pairwise(deeds))
    assert all((deed.service == CACHE) == (deed.what == EXPIRE) for deed in deeds)


class Noted:
    """A shop that only notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[tuple[str, ...]] = []

    def deploy(self, service: str, version: str, title: str) -> None:
        self.done.append((DEPLOY, service, version))
        assert title.startswith(f"{service} {version}: ")

    def replace_pod(self, service: str) -> None:
        self.done.append((RESTART, service))

    def expire_cache(self) -> int:
        self.done.append((EXPIRE,))
        return 7


def test_what_is_due_is_done_once_and_marked() -> None:
    """Versions go up with every release; marks name what, where and that it is harmless."""
    deeds = [
        Deed(at_s=10, what=DEPLOY, service="cart"),
        Deed(at_s=20, what=RESTART, service="orders"),
        Deed(at_s=30, what=EXPIRE, service=CACHE),
        Deed(at_s=40, what=DEPLOY, service="cart"),
    ]
    said: list[str] = []
    shop, background = Noted(), Background(deeds, {"cart": "1.4.9", "orders": "2.0.0"}, 1, said.append)
    for passed in (5, 10, 10, 25, 45, 60):
        background.happen(shop, passed)
    assert shop.done == [
        (DEPLOY, "cart", "1.4.10"),
        (RESTART, "orders"),
        (EXPIRE,),
        (DEPLOY, "cart", "1.4.11"),
    ]
    assert [(mark.what, mark.service) for mark in background.marks] == [(d.what, d.service) for d in deeds]
    assert all(mark.harmless and mark.title for mark in background.marks)
    assert len(said) == 4


@pytest.mark.parametrize(("version", "following"), [("1.8.0", "1.8.1"), ("2.4.9", "2.4.10"), ("3", "4")])
def test_the_next_patch(version: str, following: str) -> None:
    """Only the last number goes up."""
    assert next_patch(version) == following
