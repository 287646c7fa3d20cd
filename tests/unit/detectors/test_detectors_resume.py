"""All shipped detectors, saved and restored in mid-stream: nothing they say or know differs (property)."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.anomaly import Anomaly
from detectors.retraining import Rules
from detectors.suite import Suite, default_detectors
from detectors.versions import Versions
from ingest.record import SECOND
from ingest.summary import ClosedWindow
from tests.support.windows import closed, latencies, logs, operation, series, template

WARM = 130
"""Windows after which every detector may page."""
RULES = Rules(span=120 * SECOND, flagged=0.1, shadow=100 * SECOND, least=3, pause=60 * SECOND)
KINDS = ("usual", "usual", "burst", "new error", "slow", "hot", "silent")


def _window(index: int, kind: str) -> ClosedWindow:
    """Return logs, spans and metrics of two services; `kind` says what is strange about `orders`."""
    rng = random.Random(index)
    lines = [template("t_ok", rng.randint(40, 60) * (9 if kind == "burst" else 1), index, severity=13)]
    if kind == "new error":
        lines.append(template(f"t_new{index % 4}", 20, index, severity=17, text="refused by <*>"))
    slow = 8 if kind == "slow" else 1
    cpu = series("cpu.utilization", index, [rng.gauss(30.0, 2.0) + (60.0 if kind == "hot" else 0.0)])
    orders = replace(
        logs(index, lines),
        series=(cpu, series("queue.length", index, [rng.gauss(500.0, 10.0)], unit="")),
        operations=(operation("POST /order", latencies(rng, 40, 0.05 * slow), errors=slow - 1),),
    )
    cart = logs(index, [template("t_cart", rng.randint(10, 20), index)], service="cart")
    return closed(index, [cart] if kind == "silent" else [cart, orders])


def _suite() -> Suite:
    return Suite(Versions(default_detectors(), RULES).detectors)


def _restored(state: bytes) -> Suite:
    suite = _suite()
    suite.load(state)
    return suite


@cache
def _warm() -> bytes:
    suite = _suite()
    for index in range(WARM):
        suite.observe(_window(index, "usual"))
    return suite.dump()


def _feed(suite: Suite, kinds: Sequence[str], begin: int) -> list[Anomaly]:
    found: list[Anomaly] = []
    for index, kind in enumerate(kinds, begin):
        found.extend(suite.observe(_window(index, kind)))
    return found


TAILS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 8)), min_size=1, max_size=6)


@settings(max_examples=15, deadline=None)
@given(TAILS, st.data())
def test_a_restart_between_any_two_windows_changes_nothing(
    tail: Sequence[tuple[str, int]], data: st.DataObject
) -> None:
    """Same anomalies with same ids, scores and words, same learning, and in the end the same bytes."""
    kinds = [kind for kind, times in tail for _ in range(times)]
    cut = data.draw(st.integers(0, len(kinds)))
    whole, first = _restored(_warm()), _restored(_warm())
    expected = _feed(whole, kinds, WARM)
    found = _feed(first, kinds[:cut], WARM)
    second = _restored(first.dump())
    found += _feed(second, kinds[cut:], WARM + cut)
    assert found == expected
    assert second.learning() == whole.learning()
    assert second.dump() == whole.dump()


def test_the_property_is_about_something() -> None:
    """What is strange in those streams is found by detectors of logs, spans and metrics."""
    for kind in KINDS[2:]:
        assert _feed(_restored(_warm()), [kind] * 12, WARM), kind
