"""Messages between ingest and detect: they come back, fit a record, and merge into what they were."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.events import MetricKind
from ingest.merge import merge
from ingest.naming import Naming
from ingest.partials import KafkaParts, Mark, Message, PartialError, decode, encode, parts_of
from ingest.record import SECOND, Origin
from ingest.summary import Line, PairCount, SeriesKey, SeriesWindow, TemplateCount, WindowSummary
from ingest.templates import Templates

START = 1_700_000_000 * SECOND
END = START + 10 * SECOND


def _template(number: int, text: str, identity: str = "") -> TemplateCount:
    origin = Origin(topic="logs", partition=0, offset=number)
    line = Line(time=START + number, origin=origin, text=text)
    return TemplateCount(
        template_id=identity or f"t{number:04}",
        template=text,
        count=number + 1,
        severity_number=9,
        first=START + number,
        last=START + number,
        lines=(line,),
    )


def _series(number: int) -> SeriesWindow:
    return SeriesWindow(
        key=SeriesKey(name=f"s{number:04}"),
        kind=MetricKind.GAUGE,
        unit="",
        samples=((START, float(number)),),
        count=1,
        total=float(number),
        minimum=float(number),
        maximum=float(number),
    )


def _summary(service: str, templates: int, series: int, environment: str = "default") -> WindowSummary:
    return WindowSummary(
        environment=environment,
        service=service,
        start=START,
        end=END,
        templates=tuple(_template(number, f"line {number} of {service}") for number in range(templates)),
        severities={9: templates} if templates else {},
        series=tuple(_series(number) for number in range(series)),
        instances=("pod-1",),
        late=3,
    )


@given(st.integers(0, 60), st.integers(0, 60), st.integers(300, 5_000))
@settings(max_examples=50, deadline=None)
def test_parts_fit_and_merge_into_the_whole(templates: int, series: int, limit: int) -> None:
    """Whatever the limit, merging a window's parts gives it; numbers rise, environments stay apart."""
    summaries = [_summary("cart", templates, series), _summary("shop", 3, 0), _summary("a", 1, 1, "prod")]
    parts = parts_of(summaries, owner="i0", number=7, limit=limit)
    assert [part.number for part in parts] == list(range(7, 7 + len(parts)))
    found: dict[tuple[str, str], list[WindowSummary]] = {}
    for part in parts:
        for one in decode(encode(Message(part=part))).part.summaries:  # type: ignore[union-attr]
            assert one.environment == part.environment
            found.setdefault((one.environment, one.service), []).append(one)
    assert [reduce(merge, found[key]) for key in found] == summaries


def test_a_large_window_is_cut_to_what_a_broker_takes() -> None:
    """No part of a summary of megabytes is above the limit before compression."""
    parts = parts_of([_summary("cart", 2_000, 2_000)], owner="i0", number=0, limit=50_000)
    assert len(parts) > 4
    assert max(len(encode(Message(part=part))) for part in parts) < 50_000


def test_a_service_of_endless_instances_fits_records_too() -> None:
    """Instances, nodes and renamed ids are shared out like all else, and merge into what they were."""
    names = tuple(f"{number:08x}-{number * 2654435761 % 2**32:08x}" for number in range(4_000))
    crowd = replace(
        _summary("cart", 1, 0),
        instances=names,
        nodes=tuple((name, f"node-{name}") for name in names),
        renamed=tuple((f"tpl_{name}", "t0000") for name in names),
    )
    parts = parts_of([crowd], owner="i0", number=0, limit=50_000)
    assert max(len(msgspec.msgpack.encode(part)) for part in parts) < 51_000
    assert reduce(merge, [one for part in parts for one in part.summaries]) == crowd


BOMB = b"\x01\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00"
"""A frame that says it unpacks to a terabyte."""


@pytest.mark.parametrize("value", [b"", b"\x02rest", b"\x01garbage", encode(Message())[:-3], BOMB])
def test_what_is_no_message_is_refused(value: bytes) -> None:
    """Damage and other versions are told, never misread."""
    with pytest.raises(PartialError):
        decode(value)


def test_a_mark_goes_to_every_partition_and_after_the_parts() -> None:
    """Environments stay together; each partition hears how far the process is, last."""
    sent: list[tuple[bytes | None, int | None]] = []

    class Producer:
        def send(self, topic: str, *, key: bytes | None, value: bytes, partition: int | None = None) -> None:
            assert topic == "windows"
            sent.append((key, partition))

        def partitions(self, topic: str) -> tuple[int, ...]:
            return (0, 1)

    parts = parts_of([_summary("a", 1, 1), _summary("a", 1, 1, "prod")], owner="i0", number=0)
    KafkaParts(Producer(), "windows").publish(
        parts, (), Mark(owner="i0", reached=END, sources=(("logs", 0),))
    )
    assert sent == [(b"default", None), (b"prod", None), (None, 0), (None, 1)]


def test_templates_that_processes_named_apart_are_one() -> None:
    """Two ids of the same kind of line become one, with both counts, in pairs and sequences too."""
    one = _template(4, "user 17 logged in from 10.0.0.1", "tpl_b")
    two = _template(2, "user 99 logged in from 10.0.0.2", "tpl_a")
    summary = WindowSummary(
        environment="default",
        service="cart",
        start=START,
        end=END,
        templates=(two, one),
        pairs=(
            PairCount(first="tpl_a", second="tpl_b", count=2),
            PairCount(first="tpl_b", second="tpl_a", count=3),
        ),
    )
    naming = Naming(Templates())
    named = naming.named(summary)
    (united,) = named.templates
    assert (united.count, len(united.lines)) == (8, 2)
    assert named.pairs == (PairCount(first=united.template_id, second=united.template_id, count=5),)
    again = Naming(Templates())
    again.load(naming.dump())
    assert again.named(summary) == named
