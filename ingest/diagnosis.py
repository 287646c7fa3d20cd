"""What a whole sample shows, and which settings of its topic would make it more useful. Pure.

Takes the explained records one by one and keeps counts, never the records. Hints are few: each names what
was seen, and where a setting mends it, gives that setting.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ingest.decoders.batch import OLDEST
from ingest.decoders.times import parse_time
from ingest.events import LogEvent, RejectReason, TopicDefaults
from ingest.explain import NOWHERE, UNKNOWN, Explained, Shown
from ingest.record import SECOND, Nanos

_YEAR: Nanos = 366 * 86_400 * SECOND
_TOLERATED: Nanos = 5 * SECOND
_MOSTLY = 0.5
_FEW = 200
"""Records whose field names are looked at for a time."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of a sample. `live` says that records have a broker's time of their own."""

    live: bool = False
    records: int = 0
    refused: int = 0
    """Records of which nothing was taken."""
    bytes: int = 0
    formats: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    rejects: Counter[tuple[RejectReason, str]] = field(default_factory=Counter)
    cuts: Counter[str] = field(default_factory=Counter)
    services: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(environment, service, what named it) of every event."""
    unknown: int = 0
    no_time: int = 0
    no_severity: int = 0
    redacted: int = 0
    first: Nanos | None = None
    last: Nanos | None = None
    delays: list[Nanos] = field(default_factory=list)
    """Broker's time less the event's own, of a live sample's events that have one."""
    times: Counter[str] = field(default_factory=Counter)
    """Field names that hold a time which no rule knows, of records whose events lack one."""

    @property
    def events(self) -> int:
        return sum(self.kinds.values())

    def add(self, one: Explained) -> None:
        """Count one record."""
        self.records += 1
        self.bytes += len(one.record.value)
        self.refused += one.whole
        if one.format is not None:
            self.formats[one.format] += 1
        for reject in one.rejects:
            self.rejects[reject.reason, reject.detail] += 1
        self.cuts.update(dict(one.cuts))
        for shown in one.events:
            self._event(shown, one.record.received)
        if self.no_time <= _FEW and any(not shown.own_time for shown in one.events):
            self.times.update(_unread_times(one.record.value))

    def _event(self, shown: Shown, received: Nanos) -> None:
        event, resource = shown.event, shown.event.resource
        self.kinds[shown.kind] += 1
        self.services[resource.environment, resource.service, shown.service_from] += 1
        self.unknown += resource.service == UNKNOWN and shown.service_from == NOWHERE
        self.no_time += not shown.own_time
        self.no_severity += isinstance(event, LogEvent) and event.severity_number == 0
        self.redacted += shown.redacted
        self.first = event.time if self.first is None else min(self.first, event.time)
        self.last = event.time if self.last is None else max(self.last, event.time)
        if self.live and shown.own_time:
            self.delays.append(received - event.time)

    def delay(self) -> Nanos | None:
        """Return the median time between an event and its arrival at the broker; negative: a clock ahead."""
        return sorted(self.delays)[len(self.delays) // 2] if self.delays else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Something worth doing; `settings` of the topic that would do it, if any."""

    text: str
    settings: Mapping[str, str] = field(default_factory=dict)


def hints(tally: Tally, defaults: TopicDefaults, now: Nanos) -> tuple[Hint, ...]:
    """Return what to do about this sample, the most important first."""
    return (
        *_format(tally, defaults),
        *_service(tally),
        *_time(tally, defaults, now),
        *_severity(tally),
        *_environment(tally, defaults),
    )


def _format(tally: Tally, defaults: TopicDefaults) -> Sequence[Hint]:
    if defaults.format != "auto" or not tally.formats:
        return ()
    if len(tally.formats) == 1:
        form = next(iter(tally.formats))
        text = f"every record that was read is {form}: naming the format refuses strays instead of guessing"
        return (Hint(text=text, settings={"format": form}),)
    told = ", ".join(f"{form} ({count})" for form, count in tally.formats.most_common())
    return (Hint(text=f"several formats in one topic: {told}; `auto` tells them apart record by record"),)


def _service(tally: Tally) -> Sequence[Hint]:
    if not tally.unknown:
        return ()
    share = tally.unknown / tally.events
    text = (
        f"no service.name (nor another name for it) in {share:.0%} of the events: "
        "send it, or set `service` for this topic if it is one service's"
    )
    return (Hint(text=text, settings={"service": "NAME-OF-THE-SERVICE"}),)


def _time(tally: Tally, defaults: TopicDefaults, now: Nanos) -> Sequence[Hint]:
    found: list[Hint] = []
    if tally.no_time:
        share = tally.no_time / tally.events
        name = next((name for name, _ in tally.times.most_common(1) if name != defaults.time_field), None)
        text = f"{share:.0%} of the events say no time that is understood; the broker's stands in for it"
        if name is not None:
            text += f"; the field `{name}` looks like one"
        found.append(Hint(text=text, settings={} if name is None else {"time_field": name}))
    delay = tally.delay()
    if delay is not None and delay < -_TOLERATED:
        found.append(
            Hint(text=f"events are {-delay / SECOND:.0f} s ahead of the broker: check clock and zone")
        )
    elif delay is not None and delay > 600 * SECOND:
        text = f"events reach the broker {delay / SECOND:.0f} s late: a slow shipper, or a wrong zone"
        found.append(Hint(text=text))
    if tally.last is not None and now - tally.last > _YEAR:
        found.append(Hint(text="the newest event is over a year old: is the time's unit or zone right?"))
    return found


def _severity(tally: Tally) -> Sequence[Hint]:
    logs = tally.kinds["log"]
    if not logs or tally.no_severity / logs <= _MOSTLY:
        return ()
    text = (
        f"{tally.no_severity / logs:.0%} of the logs have no severity, in a field or in their first words: "
        "they still count, but nothing tells an error from chatter"
    )
    return (Hint(text=text),)


def _environment(tally: Tally, defaults: TopicDefaults) -> Sequence[Hint]:
    plain = sum(count for (name, _, _), count in tally.services.items() if name == "default")
    if not plain or defaults.environment != "default":
        return ()
    text = "no deployment.environment.name: everything is in the environment `default`; fine if there is one"
    return (Hint(text=text),)


def _unread_times(value: bytes) -> set[str]:
    """Return the top-level fields of a JSON object that hold a plausible time, though none was understood."""
    try:
        item = json.loads(value)
    except (ValueError, RecursionError):
        return set()
    if not isinstance(item, dict):
        return set()
    return {name for name, found in item.items() if _plausible(name, found)}


def _plausible(name: str, value: object) -> bool:
    time = parse_time(value)
    if time is None or not OLDEST < time < OLDEST + 100 * _YEAR:
        return False
    # Any large number could be an epoch; its name has to say so too.
    return (isinstance(value, str) and "-" in value) or any(
        w in name.lower() for w in ("time", "date", "ts", "stamp")
    )
