"""`faultline decode`: how records of a file, a pipe or a topic would be read, and what to set for better."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

if TYPE_CHECKING:
    from ingest.events import TopicDefaults
    from ingest.record import Record
    from ingest.sample_files import Split

Headers = tuple[tuple[str, bytes], ...]
_COMPARED = 3
"""Records at the start, and after them those refused whole, for which every other format is tried too."""


class UnreadableError(click.ClickException):
    """The sample itself cannot be had."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ask:
    """What was asked for on the command line, checked."""

    topic: str
    live: bool
    as_json: bool
    show: int
    key: bytes


def _headers(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Headers:
    made = []
    for pair in value:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{pair!r} is no header; write ce_type=com.example.deployed", ctx, param)
        made.append((name, text.encode()))
    return tuple(made)


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("--topic", help="Read this topic live; with FILE only the name that the settings are for.")
@click.option("--bootstrap", metavar="HOST:PORT,...", help="Kafka brokers to ask first, with --topic.")
@click.option("--limit", type=click.IntRange(min=1), help="Records to read.  [default: all; 20 of a topic]")
@click.option(
    "--from", "start", type=click.Choice(["beginning", "end"]), default="end", show_default=True,
    help="The topic's oldest records, or its newest.",
)  # fmt: skip
@click.option("--follow", is_flag=True, help="Go on with what the topic gets, until --limit or Ctrl-C.")
@click.option(
    "--records", "split", type=click.Choice(["auto", "line", "file"]), default="auto", show_default=True,
    help="One record a line, or the whole file as one record.",
)  # fmt: skip
@click.option("--format", "wire", default="auto", show_default=True, help="Read as this format.")
@click.option(
    "--header", "headers", multiple=True, callback=_headers, metavar="NAME=VALUE", help="Kafka header."
)
@click.option("--service", help="As the topic's setting: whose records these are if they do not say.")
@click.option("--environment", help="As the topic's setting.")
@click.option("--time-field", help="As the topic's setting: the JSON field that holds the time.")
@click.option("--time-zone", help="As the topic's setting: Europe/Berlin, +01:00.")
@click.option("--client", multiple=True, metavar="KEY=VALUE", help="A kafka-python setting by its own name.")
@click.option(
    "--show", type=click.IntRange(min=0), default=20, show_default=True, help="Records shown one by one."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record, and one for the summary.")
@click.option(
    "--redaction-key", envvar="FAULTLINE_REDACTION_KEY", metavar="KEY",
    help="Same key, same pseudonyms.  [default: a new one that nobody keeps]",
)  # fmt: skip
def command(
    files: tuple[Path, ...],
    topic: str | None,
    bootstrap: str | None,
    limit: int | None,
    start: str,
    follow: bool,
    split: Split,
    wire: str,
    headers: Headers,
    service: str | None,
    environment: str | None,
    time_field: str | None,
    time_zone: str | None,
    client: tuple[str, ...],
    show: int,
    as_json: bool,
    redaction_key: str | None,
) -> None:
    r"""Show how records would be read: format, service, time, severity, template, and what is refused.

    FILE holds records one a line or as a whole, gzip or not; `-` is standard input. A topic is read without
    joining a group and without committing anything: nobody notices. Nothing is stored.

    \b
    Examples:
      faultline decode sample.log
      kubectl logs deploy/cart | faultline decode - --service cart
      faultline decode event.json --header ce_specversion=1.0 --header ce_type=com.example.deployed
      faultline decode --topic telemetry.logs --bootstrap localhost:9092 --limit 100
      faultline decode dump.jsonl.gz --json | jq 'select(.type == "summary")'

    Exit status: 0 when everything was read, 1 when anything was refused, 2 when there is nothing to read.
    """
    from ingest.events import TopicDefaults

    if bool(files) == bool(bootstrap):
        raise click.UsageError("give a FILE (`-` for standard input), or --topic T --bootstrap HOST:PORT")
    if bootstrap and not topic:
        raise click.UsageError("--bootstrap needs --topic")
    defaults = TopicDefaults(
        format=wire,
        environment=environment or "default",
        service=service or "unknown",
        time_field=time_field,
        time_zone=time_zone,
    )
    _check(defaults)
    name = topic or (files[0].name if str(files[0]) != "-" else "stdin")
    records = (
        _from_kafka(bootstrap, name, limit or 20, start == "beginning", follow, client)
        if bootstrap
        else _limited(_from_files(files, name, split, headers), limit)
    )
    key = redaction_key.encode() if redaction_key else secrets.token_bytes(32)
    ask = _Ask(topic=topic or "YOUR-TOPIC", live=bool(bootstrap), as_json=as_json, show=show, key=key)
    sys.exit(_decode(records, defaults, ask))


def _check(defaults: TopicDefaults) -> None:
    from ingest.decode import Decode

    try:
        known = Decode({"^": defaults}).formats
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if defaults.format not in known:
        raise click.UsageError(f"no format {defaults.format!r}; there are {', '.join(sorted(known))}")


def _decode(records: Iterator[Record], defaults: TopicDefaults, ask: _Ask) -> int:
    from agent.cli import decode_json, decode_view
    from ingest.diagnosis import Tally, hints
    from ingest.explain import Explainer
    from ingest.redaction import Redactor

    explainer, tally = Explainer(defaults, Redactor(ask.key)), Tally(live=ask.live)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    now = time.time_ns()
    with contextlib.suppress(KeyboardInterrupt):
        for number, record in enumerate(records, 1):
            now = time.time_ns()
            one = explainer.explain(record, now, compare=number <= _COMPARED)
            if one.whole and _COMPARED < number <= ask.show:
                one = explainer.explain(record, now, compare=True)
            tally.add(one)
            if ask.as_json:
                _write_json(decode_json.record_object(one, number))
            elif number <= ask.show:
                _write([*decode_view.record_lines(one, number), ""], colour)
    if not tally.records:
        raise UnreadableError("there are no records: the file or topic is empty")
    advice = hints(tally, defaults, now)
    if ask.as_json:
        _write_json(decode_json.summary_object(tally, advice, ask.topic, explainer.templates))
    else:
        _write(decode_view.summary_lines(tally, advice, ask.topic, now, explainer.templates), colour)
    return 1 if tally.rejects else 0


def _write(lines: Any, colour: bool) -> None:
    for line in lines:
        click.echo(line, color=colour)


def _write_json(item: dict[str, Any]) -> None:
    # ASCII alone: a terminal obeys some characters beyond it, and any of them comes out of the escapes again.
    click.echo(json.dumps(item, ensure_ascii=True, default=str))


def _from_files(files: tuple[Path, ...], name: str, split: Split, headers: Headers) -> Iterator[Record]:
    from ingest.record import Origin, Record
    from ingest.sample_files import opened, values

    offset = 0
    for path in files:
        try:
            with contextlib.ExitStack() as stack:
                raw = sys.stdin.buffer if str(path) == "-" else stack.enter_context(path.open("rb"))
                for value in values(opened(raw), split):
                    origin = Origin(topic=name, partition=0, offset=offset)
                    yield Record(origin=origin, value=value, headers=headers, received=time.time_ns())
                    offset += 1
        except (OSError, EOFError) as error:
            raise UnreadableError(f"{path} cannot be read: {error}") from error


def _limited(records: Iterator[Record], limit: int | None) -> Iterator[Record]:
    for number, record in enumerate(records):
        if limit is not None and number >= limit:
            return
        yield record


def _from_kafka(
    bootstrap: str, topic: str, limit: int, beginning: bool, follow: bool, client: tuple[str, ...]
) -> Iterator[Record]:
    from ingest.sources.kafka.sample import read_sample
    from ingest.sources.port import SourceError

    # The client says ten times a second what is said once here.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    settings: dict[str, Any] = {}
    for pair in client:
        name, separator, value = pair.partition("=")
        if not separator:
            raise click.UsageError(f"--client {pair!r} has no value; write {pair}=VALUE")
        settings[name] = yaml.safe_load(value)
    if follow:
        click.echo(f"following {topic}; Ctrl-C ends with the summary", err=True)
    try:
        yield from read_sample(
            bootstrap_servers=bootstrap,
            topic=topic,
            limit=sys.maxsize if follow and limit == 20 else limit,
            beginning=beginning,
            follow=follow,
            client=settings,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except SourceError as error:
        raise UnreadableError(str(error)) from error
