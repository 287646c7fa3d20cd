"""Topology: what it learns from windows, how it walks, what it forgets."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from msgspec import structs

from agent.topology import Topology
from agent.topology.known import MAX_EDGES
from agent.topology.links import BELIEVED
from ingest.record import SECOND, Origin
from ingest.summary import SeriesKey, WindowSummary
from tests.support.windows import call, logs, metrics, series, start_of, template, traffic

DAY = 24 * 360
"""Windows a day."""


def _calls(index: int, caller: str, *callees: str) -> WindowSummary:
    return traffic(index, service=caller, calls=[call(callee, "GET /", [0.1]) for callee in callees])


def test_it_learns_who_calls_whom() -> None:
    """Calls become edges from caller to callee; both sides know them."""
    topology = Topology()
    topology.add(_calls(0, "web", "cart", "orders"))
    topology.add(_calls(0, "orders", "payments"))
    assert topology.callees("shop", "web") == ("cart", "orders")
    assert topology.callers("shop", "payments") == ("orders",)
    assert topology.adjacent("shop", "payments", "orders")
    assert not topology.adjacent("shop", "web", "payments")
    assert topology.roots("shop") == ("web",)
    assert topology.services("shop") == ("cart", "orders", "payments", "web")


def test_a_call_to_oneself_is_no_edge() -> None:
    """Recursion within a service does not make it its own neighbour."""
    topology = Topology()
    topology.add(_calls(0, "web", "web"))
    assert topology.edges("shop") == ()


def test_environments_are_apart() -> None:
    """The same names elsewhere are other services."""
    topology = Topology({"staging": [("web", "cart")]})
    assert topology.adjacent("staging", "web", "cart")
    assert not topology.adjacent("shop", "web", "cart")


def test_walks_are_nearest_first_and_survive_cycles() -> None:
    """Callers of callers are found once each, although a calls b calls c calls a."""
    topology = Topology({"shop": [("a", "b"), ("b", "c"), ("c", "a"), ("d", "b")]})
    assert topology.upstream_of("shop", "c") == ("b", "a", "d")
    assert topology.downstream_of("shop", "a") == ("b", "c")
    assert topology.downstream_of("shop", "a", depth=1) == ("b",)
    assert topology.downstream_of("shop", "nobody") == ()


def test_services_on_one_node_are_found() -> None:
    """Instances and nodes come with windows; a node in common is one."""
    topology = Topology()
    topology.add(traffic(0, service="cart", nodes=[("cart-1", "n1"), ("cart-2", "n2")]))
    topology.add(traffic(0, service="search", nodes=[("search-1", "n2")]))
    topology.add(traffic(0, service="orders", nodes=[("orders-1", "n3")]))
    assert topology.nodes("shop", "cart") == ("n1", "n2")
    assert topology.instances("shop", "cart") == ("cart-1", "cart-2")
    assert topology.same_node("shop", "cart", "search")
    assert not topology.same_node("shop", "cart", "orders")
    assert not topology.same_node("shop", "ghost", "phantom")


def test_what_is_not_seen_for_a_day_is_forgotten_unless_given() -> None:
    """Learned edges and placements fade after 24 h; configured ones stay."""
    topology = Topology({"shop": [("web", "cart")]})
    topology.add(_calls(0, "web", "search"))
    topology.add(traffic(0, service="search", nodes=[("search-1", "n1")]))
    topology.add(_calls(DAY // 2, "web", "orders"))
    topology.add(traffic(DAY + 10, service="other"))
    assert topology.callees("shop", "web") == ("cart", "orders")
    assert topology.nodes("shop", "search") == ()


def test_a_restart_knows_the_same() -> None:
    """State goes to bytes and back; what is learned afterwards is the same too."""
    first = Topology({"shop": [("web", "cart")]})
    first.add(_calls(0, "web", "orders"))
    first.add(traffic(0, service="cart", nodes=[("cart-1", "n1")]))
    second = Topology({"shop": [("web", "cart")]})
    second.load(first.dump())
    for topology in (first, second):
        topology.add(_calls(1, "orders", "payments"))
    assert second.dump() == first.dump()
    assert second.upstream_of("shop", "payments") == ("orders", "web")
    assert second.nodes("shop", "cart") == ("n1",)


def test_damaged_state_is_refused() -> None:
    """Bytes that are no topology raise ValueError with what to do."""
    with pytest.raises(ValueError, match="start without it"):
        Topology().load(b"\xc1")


def test_edges_are_bounded() -> None:
    """Ever new callees push the oldest out; newest edges stay and lookups agree with them."""
    topology = Topology({"shop": [("web", "cart")]})
    for index in range(3):
        names = [f"host-{index}-{number}" for number in range(MAX_EDGES // 2)]
        topology.add(_calls(index, "web", *names))
    edges = topology.edges("shop")
    assert len(edges) <= MAX_EDGES
    assert ("web", "cart") in edges
    assert ("web", f"host-2-{MAX_EDGES // 2 - 1}") in edges
    assert topology.callees("shop", "web") == tuple(callee for _, callee in edges)


def test_services_that_report_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ever new names do not make the state grow without end."""
    monkeypatch.setattr("agent.topology.known.MAX_REPORTING", 50)
    topology, sizes = Topology(), []
    for index in range(4):
        topology.learn([traffic(index, service=f"host-{index}-{number}") for number in range(50)])
        sizes.append(len(topology.dump()))
    assert sizes[3] <= 1.1 * sizes[0]


def test_an_environment_of_which_nothing_is_left_is_forgotten() -> None:
    """A day after its last window, and given edges keep theirs."""
    topology = Topology({"shop": [("web", "cart")]})
    topology.learn([replace(traffic(0, service="web"), environment="trial")])
    topology.learn([traffic(DAY + 10, service="other")])
    assert b"trial" not in topology.dump()
    topology.learn([traffic(3 * DAY, service="other")])
    assert topology.callees("shop", "web") == ("cart",)


def _traced(index: int, service: str, *traces: tuple[str, float]) -> WindowSummary:
    """Return a window with a line of each trace, so many seconds into it."""
    written = template(f"of {service}", len(traces), index)
    lines = tuple(
        structs.replace(
            written.lines[0],
            time=start_of(index) + round(after * SECOND),
            origin=Origin(topic=service, partition=0, offset=number),
            trace_id=trace,
        )
        for number, (trace, after) in enumerate(traces)
    )
    return logs(index, [structs.replace(written, lines=lines)], service=service)


def test_lines_that_share_a_trace_become_edges_once_there_are_enough() -> None:
    """Without spans, the order of lines tells who asks whom; few traces are remembered, not yet believed."""
    topology = Topology()
    topology.learn([_traced(0, "web", ("t1", 0.1)), _traced(0, "cart", ("t1", 0.2))])
    assert topology.edges("shop") == ()
    assert [(one.source, one.confidence < BELIEVED) for one in topology.links("shop")] == [("logs", True)]
    for index in range(1, 8):
        topology.learn([_traced(index, "web", ("t", 0.1)), _traced(index, "cart", ("t", 0.2))])
    assert topology.callees("shop", "web") == ("cart",)
    again = Topology()
    again.load(topology.dump())
    assert again.adjacent("shop", "cart", "web")


def test_lines_in_both_orders_take_an_edge_back() -> None:
    """Where as many traces go the other way, neither is known to ask the other."""
    topology = Topology()
    for index in range(8):
        topology.learn([_traced(index, "web", ("t", 0.1)), _traced(index, "cart", ("t", 0.2))])
    for index in range(8, 24):
        topology.learn([_traced(index, "web", ("t", 0.2)), _traced(index, "cart", ("t", 0.1))])
    assert topology.callees("shop", "web") == ()
    assert topology.callees("shop", "cart") == ("web",)


@pytest.mark.parametrize(
    ("reporter", "labels"),
    [
        ("cart", (("destination_workload", "cart"), ("source_workload", "web"))),
        ("web", (("destination_workload", "cart"), ("source_workload", "web"))),
        ("collector", (("client", "web"), ("server", "cart"))),
    ],
)
def test_metrics_that_name_both_ends_become_edges(reporter: str, labels: tuple[tuple[str, str], ...]) -> None:
    """A mesh tells of an edge from either end, a service graph from neither; both ends have to report."""
    named = structs.replace(
        series("requests_total", 0, [1.0]), key=SeriesKey(name="requests_total", labels=labels)
    )
    topology = Topology()
    topology.learn([metrics(0, [named], service=reporter)])
    if reporter == "collector":
        assert topology.edges("shop") == ()
    topology.learn([metrics(1, [], service="web"), metrics(1, [], service="cart")])
    topology.learn([metrics(2, [named], service=reporter)])
    assert topology.edges("shop") == (("web", "cart"),)
    assert topology.links("shop")[0].source == "metrics"


def test_a_state_of_before_metrics_and_lines_counted_can_be_read() -> None:
    """Fields that came later have defaults: nothing that was learned is lost on an upgrade."""
    old = {
        "version": 1,
        "environments": {"shop": {"edges": {}, "nodes": {}, "instances": {}}},
        "pruned": 0,
    }
    topology = Topology({"shop": [("web", "cart")]})
    topology.load(msgspec.msgpack.encode(old))
    assert topology.edges("shop") == (("web", "cart"),)
