"""How `faultline decode` shows records, and what they add up to, to people: lines with colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click
import yaml

from agent.cli.decode_events import content_lines, visible
from ingest.diagnosis import Hint, Tally
from ingest.events import Reject
from ingest.explain import ADVICE, NOWHERE, Attempt, Explained, Shown
from ingest.record import SECOND, Nanos
from ingest.times import format_time

_EVENTS = 10
"""Events of one record that are shown."""


def record_lines(one: Explained, number: int) -> Iterator[str]:
    """Yield the lines that show one record."""
    origin = one.record.origin
    place = f"{visible(origin.topic)}/{origin.partition}/{origin.offset}"
    form = click.style(one.format or "not recognised", fg="cyan" if one.format else "red", bold=True)
    yield f"{click.style(f'record {number}', bold=True)}  {place}  {len(one.record.value):,} bytes  {form}"
    yield f"  why      {visible(one.why)}"
    yield from _other_lines(one)
    for shown in one.events[:_EVENTS]:
        yield from _event_lines(shown)
    if len(one.events) > _EVENTS:
        yield f"  … and {len(one.events) - _EVENTS:,} more events"
    for reject in one.rejects[:_EVENTS]:
        yield from reject_lines(reject, "refused  " if one.whole else "item refused  ")
    if len(one.rejects) > _EVENTS:
        yield f"  … and {len(one.rejects) - _EVENTS:,} more refused items"
    for reason, count in one.cuts:
        yield click.style(f"  cut      {reason}: left out or shortened {count:,} times", fg="yellow")


def reject_lines(reject: Reject, word: str) -> Iterator[str]:
    """Yield why something was refused, and what to do."""
    yield click.style(f"  {word}{reject.reason}: {visible(reject.detail)}", fg="red")
    yield f"  {'':{len(word)}}{ADVICE[reject.reason]}"


def _other_lines(one: Explained) -> Iterator[str]:
    """Say what else the record could be; where nothing was read, also why each format refuses it."""
    # As text any line could be read, which says nothing.
    takes = [
        f"{other.format} ({other.events})" for other in one.others if other.events and other.format != "text"
    ]
    if takes:
        yield f"  also as  {', '.join(takes)}   (events each format would make of it)"
    if one.whole:
        yield from (f"  not as   {line}" for line in _refusals(one.others))


def _refusals(others: Sequence[Attempt]) -> Iterator[str]:
    """Yield each reason once, with all formats that give it."""
    reasons: dict[str, list[str]] = {}
    for other in others:
        if not other.events:
            reasons.setdefault(other.refused or "it holds nothing", []).append(other.format)
    for reason, formats in reasons.items():
        yield f"{', '.join(formats)}: {visible(reason)}"


def _event_lines(shown: Shown) -> Iterator[str]:
    event = shown.event
    resource = event.resource
    clock = "" if shown.own_time else "  (the broker's: it says none)"
    head = f"{shown.kind:<8}{format_time(event.time)}{clock}"
    yield f"  {click.style(head, fg='green')}"
    source = _source(shown.service_from)
    named = click.style(source, fg="yellow") if shown.service_from == NOWHERE else source
    whose = f"service {visible(resource.service)}  ({named})"
    yield f"           {whose}  environment {visible(resource.environment)}"
    where = [("instance", resource.instance), ("node", resource.node)]
    told = "  ".join(f"{name} {visible(value)}" for name, value in where if value)
    if told:
        yield f"           {told}"
    yield from (f"           {line}" for line in content_lines(event, shown))


def _source(name: str) -> str:
    return name if name == NOWHERE else f"from {visible(name)}"


def summary_lines(
    tally: Tally, hints: tuple[Hint, ...], topic: str, now: Nanos, templates: int
) -> Iterator[str]:
    """Yield the lines that show what the sample adds up to, with a topic setting to paste."""
    yield click.style("summary", bold=True)
    yield f"  records    {tally.records:,} ({tally.bytes:,} bytes), {tally.refused:,} refused whole"
    yield f"  formats    {_counts(tally.formats) or 'none recognised'}"
    yield f"  events     {_counts(tally.kinds) or 'none'}" + (
        f"; {templates:,} log templates" if templates else ""
    )
    if tally.redacted:
        yield f"  redacted   {tally.redacted:,} events held secrets or personal data"
    for (environment, service, source), count in tally.services.most_common(20):
        named = f"{visible(service)}  ({_source(source)}, environment {visible(environment)})"
        yield f"  service    {count:>7,}  {named}"
    if len(tally.services) > 20:
        yield f"  … and {len(tally.services) - 20:,} more services"
    yield from _time_lines(tally, now)
    if tally.events:
        yield f"  unknown    service {_share(tally.unknown, tally.events)}, {_missing(tally)}"
    for (reason, detail), count in tally.rejects.most_common(10):
        yield click.style(f"  refused    {count:>7,}  {reason}: {visible(detail)}", fg="red")
        yield f"             {'':>9}{ADVICE[reason]}"
    if tally.cuts:
        yield click.style(
            f"  cut        {_counts(tally.cuts)} (left out or shortened, and counted)", fg="yellow"
        )
    yield from _hint_lines(hints, topic)


def _missing(tally: Tally) -> str:
    severity = f"severity {_share(tally.no_severity, tally.kinds['log'])} of logs"
    return f"{severity}, time {_share(tally.no_time, tally.events)}"


def _share(count: int, whole: int) -> str:
    return f"{count / whole:.0%}" if whole else "–"


def _time_lines(tally: Tally, now: Nanos) -> Iterator[str]:
    if tally.first is None or tally.last is None:
        return
    yield f"  times      {format_time(tally.first)} … {format_time(tally.last)}"
    apart = now - tally.last
    yield (
        f"  skew       the newest is {span_of(abs(apart))} {'before' if apart >= 0 else 'AFTER'} now"
        + _delay(tally)
    )


def _delay(tally: Tally) -> str:
    delay = tally.delay()
    if delay is None:
        return ""
    side = "after" if delay >= 0 else "BEFORE"
    return f"; the broker got the median event {span_of(abs(delay))} {side} its time"


def span_of(length: Nanos) -> str:
    """Return a length of time as people say it."""
    seconds = length / SECOND
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def _hint_lines(hints: tuple[Hint, ...], topic: str) -> Iterator[str]:
    for hint in hints:
        yield click.style(f"  hint       {visible(hint.text)}", fg="magenta")
    settings = {name: value for hint in hints for name, value in hint.settings.items()}
    if settings:
        yield ""
        yield "For your configuration:"
        yield setting(topic, settings)


def setting(topic: str, settings: dict[str, str]) -> str:
    """Return the topic's settings as YAML to paste."""
    tree = {"kafka": {"topics": [{"name": topic, **settings}]}}
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=False, width=1000).rstrip("\n")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{visible(str(name))} {count:,}" for name, count in sorted(counts.items()))
