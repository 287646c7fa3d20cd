"""Span join: each call and operation is told once, in the right window, with the right latencies."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from ingest.events import SpanEvent, SpanKind
from ingest.record import SECOND
from ingest.sketch import ACCURACY, Sketch
from ingest.spans import KnownSpan, SpanJoin, SpanWindow
from ingest.summary import CallWindow, OperationWindow
from tests.support.telemetry import at, span

Joined = dict[tuple[str, str], SpanWindow]


def _join(join: SpanJoin, spans: Iterable[SpanEvent], end: float = 10) -> Joined:
    return join.join(sorted(spans, key=lambda s: (s.end, s.origin)), end=at(end))


def _calls(joined: Joined, service: str) -> tuple[CallWindow, ...]:
    window = joined.get(("default", service))
    return window.call_windows() if window else ()


def _operations(joined: Joined, service: str) -> tuple[OperationWindow, ...]:
    return joined["default", service].operation_windows()


def _only(sketch: Sketch) -> float:
    assert sketch.count == 1
    value = sketch.quantile(0.5)
    assert value is not None
    return value


def _near(seconds: float) -> object:
    return pytest.approx(seconds, rel=2 * ACCURACY)


def test_a_pair_in_two_services_is_a_call_of_the_parents_service() -> None:
    """Caller latency is the parent's duration, callee latency the child's, named by the child."""
    joined = _join(
        SpanJoin(),
        [
            span("p", at(1), at(3), service="shop", kind=SpanKind.CLIENT),
            span("c", at(1.5), at(2.5), service="pay", parent="p", name="charge", kind=SpanKind.SERVER),
        ],
    )
    (call,) = _calls(joined, "shop")
    assert (call.callee, call.operation, call.count, call.errors) == ("pay", "charge", 1, 0)
    assert _only(call.caller_latency) == _near(2)
    assert _only(call.callee_latency) == _near(1)
    assert _calls(joined, "pay") == ()


def test_a_pair_in_one_service_is_no_call() -> None:
    """Spans of one service call nobody."""
    joined = _join(SpanJoin(), [span("p", at(1), at(3)), span("c", at(1), at(2), parent="p")])
    assert _calls(joined, "cart") == ()


@pytest.mark.parametrize("parent_first", [True, False])
def test_a_call_over_two_windows_is_told_once_in_the_later(parent_first: bool) -> None:
    """Whichever side ends later, its window has the call."""
    parent = span("p", at(1), at(3 if parent_first else 12), service="shop", kind=SpanKind.CLIENT)
    child = span("c", at(2), at(12 if parent_first else 3), service="pay", parent="p")
    first, second = (parent, child) if parent_first else (child, parent)
    join = SpanJoin()
    assert _calls(_join(join, [first]), "shop") == ()
    assert [call.count for call in _calls(_join(join, [second], 20), "shop")] == [1]
    assert _calls(_join(join, [span("x", at(21), at(22))], 30), "shop") == ()


@pytest.mark.parametrize(
    ("kind", "child_fails", "parent_fails", "errors"),
    [
        (SpanKind.CLIENT, True, False, 1),
        (SpanKind.CLIENT, False, True, 1),
        (SpanKind.UNKNOWN, False, True, 1),
        (SpanKind.SERVER, False, True, 0),
    ],
)
def test_a_call_fails_when_a_side_that_belongs_to_it_fails(
    kind: SpanKind, child_fails: bool, parent_fails: bool, errors: int
) -> None:
    """A server span may fail for other reasons, so only the calling side's failure is the call's."""
    joined = _join(
        SpanJoin(),
        [
            span("p", at(1), at(3), service="shop", kind=kind, error=parent_fails),
            span("c", at(1), at(2), service="pay", parent="p", error=child_fails),
        ],
    )
    (call,) = _calls(joined, "shop")
    assert call.errors == errors
    assert call.caller_latency.count == (0 if kind is SpanKind.SERVER else 1)


def test_a_silent_peer_is_called_by_the_name_the_caller_gives() -> None:
    """A database sends no spans: the client span alone is the call, without a callee's view."""
    joined = _join(
        SpanJoin(),
        [span("q", at(1), at(3), kind=SpanKind.CLIENT, name="SELECT", peer="postgresql", error=True)],
    )
    (call,) = _calls(joined, "cart")
    assert (call.callee, call.operation, call.count, call.errors) == ("postgresql", "SELECT", 1, 1)
    assert _only(call.caller_latency) == _near(2)
    assert call.callee_latency == Sketch()


def test_a_peer_that_speaks_is_called_by_its_own_name() -> None:
    """With the other side's span known, the client's name for it is not used."""
    joined = _join(
        SpanJoin(),
        [
            span("p", at(1), at(3), service="shop", kind=SpanKind.CLIENT, peer="pay.local:80"),
            span("c", at(1), at(2), service="pay", parent="p"),
        ],
    )
    assert [call.callee for call in _calls(joined, "shop")] == ["pay"]


def test_a_call_filed_under_its_peer_is_not_counted_again() -> None:
    """The other side's span that comes in a later window does not make a second call of it."""
    join = SpanJoin()
    first = _join(join, [span("p", at(1), at(3), service="shop", kind=SpanKind.CLIENT, peer="pay.local:80")])
    second = _join(join, [span("c", at(2), at(12), service="pay", parent="p")], 20)
    assert [call.callee for call in _calls(first, "shop")] == ["pay.local:80"]
    assert _calls(second, "shop") == ()


def test_only_client_spans_call_their_peer() -> None:
    """On a server span the peer is who called."""
    joined = _join(SpanJoin(), [span("s", at(1), at(3), kind=SpanKind.SERVER, peer="browser")])
    assert _calls(joined, "cart") == ()


def test_self_time_is_what_no_child_covers() -> None:
    """Overlapping children count once, and only as far as they lie inside the span."""
    joined = _join(
        SpanJoin(),
        [
            span("p", at(0), at(8), name="top"),
            span("a", at(1), at(4), parent="p", service="pay"),
            span("b", at(3), at(5), parent="p", name="inner"),
            span("c", at(7), at(9), parent="p", name="async"),
        ],
    )
    top = next(op for op in _operations(joined, "cart") if op.operation == "top")
    assert _only(top.duration) == _near(8)
    assert _only(top.self_time) == _near(8 - 4 - 1)


@pytest.mark.parametrize(
    ("kind", "parent", "entry"),
    [
        (SpanKind.UNKNOWN, None, 1),
        (SpanKind.UNKNOWN, "shop", 1),
        (SpanKind.UNKNOWN, "cart", 0),
        (SpanKind.UNKNOWN, "never seen", 0),
        (SpanKind.SERVER, "never seen", 1),
        (SpanKind.CLIENT, "never seen", 0),
    ],
)
def test_entries_are_spans_that_come_from_outside(kind: SpanKind, parent: str | None, entry: int) -> None:
    """No parent, a parent elsewhere, or a kind that serves somebody."""
    others = [span(name, at(0), at(4), service=name) for name in ("shop", "cart")]
    joined = _join(SpanJoin(), [*others, span("x", at(1), at(2), parent=parent, kind=kind, name="op")])
    assert next(op for op in _operations(joined, "cart") if op.operation == "op").entry == entry


def test_a_span_that_comes_twice_counts_once() -> None:
    """A record delivered again changes nothing within the retention, in its window or a later one."""
    join = SpanJoin()
    twice = [span("p", at(1), at(3), offset=1), span("p", at(1), at(3), offset=2)]
    assert [op.count for op in _operations(_join(join, twice), "cart")] == [1]
    assert _join(join, twice[:1], 20) == {}
    assert join.repeated == 2


def test_spans_are_forgotten_after_the_retention() -> None:
    """A child after more than the retention finds no parent."""
    join = SpanJoin(retention=60 * SECOND)
    _join(join, [span("p", at(1), at(3), service="shop")])
    _join(join, [span("x", at(60), at(69))], 70)
    assert _calls(_join(join, [span("c", at(2), at(71), parent="p")], 80), "shop") == ()
    assert join.dropped == 0
    assert {known.span_id for known in join.dump()} == {"x", "c"}


def test_the_limit_drops_the_oldest_and_counts() -> None:
    """More spans than the limit: the oldest go, their operations are counted all the same."""
    join = SpanJoin(limit=2)
    joined = _join(join, [span(str(i), at(i), at(i + 0.5), offset=i, parent="p") for i in range(5)])
    assert [op.count for op in _operations(joined, "cart")] == [5]
    assert join.dropped == 3
    assert [known.span_id for known in join.dump()] == ["3", "4"]


def test_environments_do_not_mix() -> None:
    """The same ids in another environment are other spans."""
    child = span("c", at(1), at(2), service="pay", parent="p")
    join = SpanJoin()
    known = KnownSpan(
        environment="other", service="shop", trace_id="t", span_id="p", parent_span_id=None, name="n",
        start=at(0), end=at(3), kind=SpanKind.CLIENT, error=False,
    )  # fmt: skip
    join.load([known])
    joined = _join(join, [child])
    assert set(joined) == {("default", "pay")}


def test_two_services_that_share_a_span_id_are_two_operations() -> None:
    """Client and server under one id: both count, and neither is taken for the other."""
    joined = _join(
        SpanJoin(),
        [
            span("x", at(1), at(2), service="pay", kind=SpanKind.SERVER, offset=1),
            span("x", at(1), at(3), service="shop", kind=SpanKind.CLIENT, peer="pay", offset=2),
        ],
    )
    assert [op.count for service in ("pay", "shop") for op in _operations(joined, service)] == [1, 1]
