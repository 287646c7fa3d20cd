"""Why a record is read as it is: format, identity, clock, redaction, template; and what a sample lacks."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from ingest.decode import Decode
from ingest.diagnosis import Tally, hints
from ingest.events import LogEvent, RejectReason, TopicDefaults
from ingest.explain import ADVICE, NOWHERE, SETTING, Explained, Explainer
from ingest.record import SECOND, Nanos, Origin, Record
from ingest.redaction import Redactor
from tests.support.otlp import NOW, logs_request

PLAIN = TopicDefaults()


def record(value: object, headers: tuple[tuple[str, bytes], ...] = (), received: Nanos = NOW) -> Record:
    """Make a record of bytes, or of a value as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(
        origin=Origin(topic="t", partition=0, offset=3), value=raw, headers=headers, received=received
    )


def explained(
    value: object, defaults: TopicDefaults = PLAIN, headers: tuple[tuple[str, bytes], ...] = ()
) -> Explained:
    """Explain one record."""
    return Explainer(defaults, Redactor(b"k")).explain(record(value, headers), NOW, compare=True)


def tally_of(*values: object, defaults: TopicDefaults = PLAIN, live: bool = False) -> Tally:
    """Explain all values and count them."""
    explainer, tally = Explainer(defaults, Redactor(b"k")), Tally(live=live)
    for value in values:
        one = value if isinstance(value, Record) else record(value)
        tally.add(explainer.explain(one, NOW, compare=False))
    return tally


def test_it_reads_as_the_service_does() -> None:
    """Events are those of the service's own decode and redaction, for text with and without a time."""
    for value in (b"plain words", {"message": "x", "time": NOW}, {"message": "y"}):
        one = explained(value)
        decoded = Decode({"t": PLAIN}).decode(record(value), NOW)
        assert tuple(shown.event for shown in one.events) == decoded.events


def test_the_format_says_why_and_what_else_it_could_be() -> None:
    """A recognised format gives its reason; others are tried, each with its events or its refusal."""
    one = explained({"message": "x", "service": "cart"})
    assert one.format == "json"
    assert "field names" in one.why
    others = {attempt.format: attempt for attempt in one.others}
    assert "json" not in others
    assert "auto" not in others
    assert others["text"].events == 1
    assert others["otlp_logs"].events == 0
    assert "not a whole" in (others["otlp_logs"].refused or "")


def test_a_format_that_is_set_is_not_recognised() -> None:
    """Under a forced format the reason says so, and `auto` is not asked."""
    one = explained(b"words", TopicDefaults(format="text"))
    assert (one.format, one.why) == ("text", "it is set, not recognised")


def test_what_nothing_reads_has_every_formats_reason() -> None:
    """A record that is refused has no format; each other format says why not."""
    one = explained(b"\x00\x01\x02")
    assert one.whole
    assert one.format is None
    assert [reject.reason for reject in one.rejects] == [RejectReason.UNKNOWN_FORMAT]
    assert all(attempt.refused for attempt in one.others if attempt.format not in {"text", "otlp"})


@pytest.mark.parametrize(
    ("value", "defaults", "service", "source"),
    [
        ({"message": "x", "service.name": "cart", "app": "y"}, PLAIN, "cart", "service.name"),
        ({"message": "x", "kubernetes": {"container_name": "c"}}, PLAIN, "c", "kubernetes.container_name"),
        ({"message": "x", "service": "unknown_service:java", "app": "cart"}, PLAIN, "cart", "app"),
        ({"message": "x"}, PLAIN, "unknown", NOWHERE),
        ({"message": "x"}, TopicDefaults(service="cart"), "cart", SETTING),
        ({"message": "x"}, TopicDefaults(extra=(("service.name", "cart"),)), "cart", SETTING),
        (logs_request(time_unix_nano=NOW).SerializeToString(), PLAIN, "cart", "service.name"),
    ],
)
def test_the_rule_that_named_the_service(
    value: object, defaults: TopicDefaults, service: str, source: str
) -> None:
    """Each event says which attribute named its service, or that a setting or nothing did."""
    (shown,) = explained(value, defaults).events
    assert (shown.event.resource.service, shown.service_from) == (service, source)


def test_a_name_that_the_record_does_not_hold_is_told_as_the_formats_own() -> None:
    """A syslog app name ranks under a name of identity that nobody would find in the message."""
    line = b"<14>1 2026-06-01T12:00:00Z web-1 checkout 412 - - hello"
    (shown,) = explained(line).events
    assert shown.event.resource.service == "checkout"
    assert shown.service_from.startswith("a field of the format")


def test_whose_clock_it_was() -> None:
    """An event without a time is shown at the broker's, also where its own is the very same instant."""
    (own,) = explained({"message": "x", "time": NOW}).events
    (brokers,) = explained({"message": "x"}).events
    assert (own.own_time, brokers.own_time) == (True, False)
    assert own.event.time == brokers.event.time == NOW


def test_templates_go_on_from_record_to_record() -> None:
    """The second of two like lines shares a template with the first, values masked."""
    explainer = Explainer(PLAIN, Redactor(b"k"))
    first, second = (
        explainer.explain(record(f"took {n} ms".encode()), NOW, compare=False).events[0] for n in (5, 6)
    )
    assert first.template == second.template == "took <duration>"
    assert explainer.templates == 1


def test_secrets_do_not_come_through() -> None:
    """What is shown has been redacted, and says so."""
    (shown,) = explained({"message": "password=hunter2 given"}).events
    assert shown.redacted
    assert isinstance(shown.event, LogEvent)
    assert "hunter2" not in shown.event.body


def test_a_batch_shows_its_good_and_its_bad_items() -> None:
    """One refused line of a record leaves the others, and the record is not refused as a whole."""
    one = explained(b'{"message": "x"}\n{"message": "y"}\n{"nothing": 1}')
    assert (len(one.events), len(one.rejects), one.whole) == (2, 1, False)


def test_every_reason_has_advice() -> None:
    """No reject leaves a person without something to do."""
    assert set(ADVICE) == set(RejectReason)


def test_a_record_without_a_brokers_time_is_refused_as_without_time() -> None:
    """Marking the broker's time does not make one where there is none."""
    one = Explainer(PLAIN, Redactor(b"k")).explain(record({"message": "x"}, received=0), NOW, compare=False)
    assert one.rejects[0].reason is RejectReason.TIME_MISSING


def test_counts_of_a_sample() -> None:
    """Records, events by kind, rejects by reason, services and shares are counted."""
    tally = tally_of(
        {"message": "x", "service": "cart", "level": "info", "time": NOW - 5 * SECOND},
        {"message": "y"},
        {"name": "m", "value": 1, "service": "cart", "time": NOW},
        b"\x00",
    )
    assert (tally.records, tally.refused, tally.events) == (4, 1, 3)
    assert tally.kinds == {"log": 2, "metric": 1}
    assert tally.services[("default", "cart", "service")] == 2
    assert (tally.unknown, tally.no_time, tally.no_severity) == (1, 1, 1)
    assert (tally.first, tally.last) == (NOW - 5 * SECOND, NOW)
    assert sum(tally.rejects.values()) == 1


def test_hints_give_the_settings_that_help() -> None:
    """A topic of one format without services or known times gets all three as settings."""
    tally = tally_of(*({"message": "x", "when": "2026-06-01T12:00:00Z"} for _ in range(3)))
    settings: dict[str, str] = {}
    for hint in hints(tally, PLAIN, NOW):
        settings.update(hint.settings)
    assert settings == {"format": "json", "service": "NAME-OF-THE-SERVICE", "time_field": "when"}
    mended = TopicDefaults(format="json", service="cart", time_field="when", environment="prod")
    tally = tally_of({"message": "INFO x", "when": "2026-09-01T12:00:00Z"}, defaults=mended)
    assert hints(tally, mended, NOW) == ()


def test_a_clock_that_is_ahead_of_the_broker_is_told() -> None:
    """Of a live sample the median delay shows, and a negative one is a hint."""
    ahead = replace(record({"message": "x", "time": NOW + 90 * SECOND}), received=NOW)
    tally = tally_of(ahead, live=True)
    assert tally.delay() == -90 * SECOND
    assert any("90 s ahead" in hint.text for hint in hints(tally, PLAIN, NOW))
    late = tally_of(replace(ahead, received=NOW + 3000 * SECOND), live=True)
    assert any("late" in hint.text for hint in hints(late, PLAIN, NOW))
