"""Kept bytes of a shipper: one folder a fixture, with its manifest, the records and what they mean.

`manifest.json` says which program sent the records, and how they are made again. Values stand in files of
their own, byte for byte. `expected.json` holds the events that a person checked against those bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ingest.decode import Decode
from ingest.events import DecodeError, TopicDefaults
from ingest.record import SECOND, Nanos, Origin, Record

HOME = Path(__file__).resolve().parents[1] / "fixtures" / "wire"
MANIFEST, EXPECTED = "manifest.json", "expected.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One record as the broker (or an HTTP server) got it; `received` in ns."""

    value: bytes
    received: Nanos
    key: bytes | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """Records of one program in one form. `documentation` is set where no program could be run here."""

    name: str
    format: str
    """The topic's `format` setting that reads it; `auto` must come to the same events."""
    program: str
    version: str
    command: str
    suffix: str
    sent: tuple[Sent, ...]
    documentation: str | None = None
    note: str | None = None
    """What the bytes alone do not tell and a reader of them must know."""

    @property
    def now(self) -> Nanos:
        """A clock that believes the records: a second after the last came."""
        return max(one.received for one in self.sent) + SECOND

    def records(self) -> tuple[Record, ...]:
        """Return the records as a source would deliver them."""
        return tuple(
            Record(
                origin=Origin(topic=self.name, partition=0, offset=number),
                value=one.value,
                key=one.key,
                headers=one.headers,
                received=one.received,
            )
            for number, one in enumerate(self.sent)
        )


def save(fixture: Fixture, home: Path) -> Path:
    """Write the fixture, in place of the old one; `expected.json` stays, for a person to check."""
    folder = home / fixture.name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9][0-9].*"):
        old.unlink()
    records = []
    for number, one in enumerate(fixture.sent):
        file = f"{number:02d}.{fixture.suffix}"
        (folder / file).write_bytes(one.value)
        records.append(
            {
                "file": file,
                "key": one.key.decode("latin-1") if one.key is not None else None,
                "headers": [[name, value.decode("latin-1")] for name, value in one.headers],
                "received": one.received,
            }
        )
    described = {
        "format": fixture.format,
        "program": fixture.program,
        "version": fixture.version,
        "live": fixture.documentation is None,
        "documentation": fixture.documentation,
        "command": fixture.command,
        "note": fixture.note,
        "records": records,
    }
    (folder / MANIFEST).write_text(
        json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    return folder


def load(folder: Path) -> Fixture:
    """Read a fixture's manifest and bytes."""
    told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    sent = tuple(
        Sent(
            value=(folder / one["file"]).read_bytes(),
            received=one["received"],
            key=None if one["key"] is None else one["key"].encode("latin-1"),
            headers=tuple((name, value.encode("latin-1")) for name, value in one["headers"]),
        )
        for one in told["records"]
    )
    return Fixture(
        name=folder.name,
        format=told["format"],
        program=told["program"],
        version=told["version"],
        command=told["command"],
        suffix=told["records"][0]["file"].partition(".")[2],
        sent=sent,
        documentation=told["documentation"],
        note=told["note"],
    )


def all_fixtures(home: Path = HOME) -> tuple[Fixture, ...]:
    """Return every kept fixture, by name."""
    return tuple(load(manifest.parent) for manifest in sorted(home.glob(f"*/{MANIFEST}")))


def read(fixture: Fixture, form: str | None = None) -> list[dict[str, Any]]:
    """Return what each record decodes to as JSON values, under `form` or the fixture's own format.

    Origins are left out, and so is what an event does not say.
    """
    decode = Decode({fixture.name: TopicDefaults(format=form or fixture.format)})
    found = [_read_one(decode, record, fixture.now) for record in fixture.records()]
    plain: list[dict[str, Any]] = json.loads(json.dumps(found))
    return plain


def _read_one(decode: Decode, record: Record, now: Nanos) -> dict[str, Any]:
    try:
        decoded = decode.decode(record, now)
    except DecodeError as error:
        return {"refused": str(error.reject.reason)}
    shown: dict[str, Any] = {}
    if decoded.events:
        shown["events"] = [{"is": type(event).__name__, **_shown(event)} for event in decoded.events]
    if decoded.rejects:
        shown["rejects"] = [str(reject.reason) for reject in decoded.rejects]
    if decoded.cuts:
        shown["cuts"] = [list(cut) for cut in decoded.cuts]
    return shown


def _shown(event: object) -> dict[str, Any]:
    plain = msgspec.to_builtins(event)
    del plain["origin"]
    resource = plain.pop("resource")
    plain["of"] = " ".join(f"{name}={value}" for name, value in resource.items() if value is not None)
    for name in ("labels", "attributes", "annotations"):
        if plain.get(name):
            plain[name] = dict(plain[name])
    if plain.get("start") == 0:  # no one said since when a counter counts
        del plain["start"]
    return {name: value for name, value in plain.items() if value not in (None, "", (), [], {})}


def expected(name: str, home: Path = HOME) -> list[dict[str, Any]]:
    """Return what a person checked the records of this fixture to mean."""
    text = (home / name / EXPECTED).read_text(encoding="utf-8")
    events: list[dict[str, Any]] = json.loads(text)
    return events


def write_expected(fixture: Fixture, home: Path = HOME) -> Path:
    """Write what the decoder says now, one event a line, for a person to check against the bytes."""
    path = home / fixture.name / EXPECTED
    path.write_text(f"[{','.join(map(_lines, read(fixture)))}\n]\n", encoding="utf-8")
    return path


def _lines(record: dict[str, Any]) -> str:
    listed = ",\n  ".join(json.dumps(event, ensure_ascii=False) for event in record.get("events", ()))
    rest = json.dumps({name: value for name, value in record.items() if name != "events"}, ensure_ascii=False)
    if not listed:
        return f"\n{rest}"
    return f'\n{{"events": [\n  {listed}]{", " if len(rest) > 2 else ""}{rest[1:]}'
