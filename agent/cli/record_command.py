"""`faultline record`: what passes on Kafka topics, redacted, as a recording to replay and to measure on."""

from __future__ import annotations

import logging
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml

_UNITS = {"s": 1, "m": 60, "h": 3600}


def _duration(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Read `90s`, `10m`, `2h` as seconds."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration; write 90s, 10m or 2h", ctx, param)
    return float(match[1]) * _UNITS[match[2]]


def _time(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Read RFC 3339 as nanoseconds."""
    from ingest.decoders.times import parse_time

    found = None if value is None else parse_time(value)
    if value is not None and found is None:
        raise click.BadParameter(f"{value!r} is no time; write 2026-01-31T14:05:00Z", ctx, param)
    return found


@click.command()
@click.option("--bootstrap", required=True, metavar="HOST:PORT,...", help="Kafka brokers to ask first.")
@click.option("--topic", "topics", multiple=True, required=True, help="Topic, or ^pattern; may be repeated.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="A new folder.")
@click.option("--duration", callback=_duration, help="90s, 10m, 2h.  [default: until Ctrl-C or SIGTERM]")
@click.option(
    "--from", "start", type=click.Choice(["latest", "earliest"]), default="latest", show_default=True,
    help="Begin with what comes now, or with all that the topics hold.",
)  # fmt: skip
@click.option("--format", "wire", default="auto", show_default=True, help="Wire format of the topics.")
@click.option("--incident-start", callback=_time, help="When the fault began, as RFC 3339.")
@click.option("--incident-end", callback=_time, help="When it ended.")
@click.option("--id", "case_id", help="Name of the recording.  [default: the folder's]")
@click.option("--system", default="recorded", show_default=True, help="Name of the system it was taken from.")
@click.option("--note", "notes", multiple=True, help="A sentence for case.json; may be repeated.")
@click.option("--client", multiple=True, metavar="KEY=VALUE", help="A kafka-python setting by its own name.")
@click.option(
    "--redaction-key", envvar="FAULTLINE_REDACTION_KEY", metavar="KEY",
    help="Same key, same pseudonyms.  [default: a new one that nobody keeps]",
)  # fmt: skip
def command(
    bootstrap: str,
    topics: tuple[str, ...],
    out: Path,
    duration: float | None,
    start: str,
    wire: str,
    incident_start: int | None,
    incident_end: int | None,
    case_id: str | None,
    system: str,
    notes: tuple[str, ...],
    client: tuple[str, ...],
    redaction_key: str | None,
) -> None:
    r"""Write what passes on Kafka topics into a recording.

    Every record is decoded and redacted before it touches the disk. The recording can be replayed
    (`faultline replay OUT`) and measured on. Nothing is committed: other consumers notice nothing.

    \b
    Example: record ten minutes, knowing when the fault was injected
      faultline record --bootstrap localhost:9092 \
        --topic telemetry.logs --topic telemetry.metrics --topic telemetry.traces \
        --out recordings/slow-db --duration 10m \
        --incident-start 2026-01-31T14:05:00Z --incident-end 2026-01-31T14:08:00Z
    """
    if (incident_start is None) != (incident_end is None):
        raise click.UsageError("--incident-start and --incident-end go together")
    if incident_start is not None and incident_end is not None and incident_start >= incident_end:
        raise click.UsageError("--incident-start must be before --incident-end")
    incident = None if incident_start is None or incident_end is None else (incident_start, incident_end)
    settings = {"auto_offset_reset": start, **_client(client)}
    key = redaction_key.encode() if redaction_key else secrets.token_bytes(32)
    _record(
        out,
        bootstrap=bootstrap,
        topics=topics,
        client=settings,
        wire=wire,
        key=key,
        duration=duration,
        case={"id": case_id or out.resolve().name, "system": system, "incident": incident, "notes": notes},
    )


def _record(
    out: Path,
    *,
    bootstrap: str,
    topics: tuple[str, ...],
    client: dict[str, Any],
    wire: str,
    key: bytes,
    duration: float | None,
    case: dict[str, Any],
) -> None:
    from ingest.decode import Decode
    from ingest.events import TopicDefaults
    from ingest.recorder import Recorder
    from ingest.recording_writer import RecordingWriter
    from ingest.redaction import Redactor
    from ingest.sources.kafka import KafkaSource
    from ingest.sources.port import SourceError

    # The client repeats itself ten times a second while a broker is away; the source says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    decode = Decode({"^.*": TopicDefaults(format=wire)})
    if wire not in decode.formats:
        raise click.UsageError(f"no format {wire!r}; there are {', '.join(sorted(decode.formats))}")
    try:
        source = KafkaSource(
            bootstrap_servers=bootstrap,
            topics=topics,
            group_id=f"faultline-record-{secrets.token_hex(6)}",
            client=client,
            pin_start=False,
        )
        with RecordingWriter(out) as writer:
            recorder = Recorder(
                source=source,
                decode=decode,
                redactor=Redactor(key),
                writer=writer,
                clock=time.time_ns,
            )
            counts = recorder.run(_stopper(duration), _Progress())
            click.echo(err=True)
            if not counts.events:
                raise click.ClickException(_nothing(counts.records, counts.partitions, topics))
            writer.close(**case)
    except (ValueError, FileExistsError, SourceError) as error:
        raise click.ClickException(str(error)) from error
    written = ", ".join(f"{count:,} {signal}" for signal, count in sorted(writer.counts.items()))
    click.echo(f"{out}: {written}")


class _Progress:
    """One line on standard error, rewritten on a terminal, every ten seconds elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, counts: Any) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.5 if self._terminal else 10.0)
        if not counts.partitions:
            line = "waiting for Kafka to assign partitions"
        else:
            done = f"{counts.records:,} records, {counts.events:,} events"
            line = f"recording {counts.partitions} partitions: {done}"
        if counts.rejected:
            refused = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.rejected.items()))
            line += f", refused: {refused}"
        click.echo(f"\r\x1b[K{line}" if self._terminal else line, nl=not self._terminal, err=True)


def _stopper(duration: float | None) -> Callable[[], bool]:
    """Return what says that it is time to stop: a signal, or `duration` seconds from now."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    deadline = None if duration is None else time.monotonic() + duration
    return lambda: stop.is_set() or (deadline is not None and time.monotonic() >= deadline)


def _client(pairs: tuple[str, ...]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise click.UsageError(f"--client {pair!r} has no value; write {pair}=VALUE")
        settings[name] = yaml.safe_load(value)
    return settings


def _nothing(records: int, partitions: int, topics: tuple[str, ...]) -> str:
    if records:
        return f"none of {records:,} records could be decoded; give --format, or look at what the topics hold"
    if partitions:
        return "nothing arrived; is anything produced? --from earliest records what the topics already hold"
    return f"no partitions of {', '.join(topics)}: check --bootstrap and the topics' names"
