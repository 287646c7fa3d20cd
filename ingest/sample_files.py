"""Records out of a file or a pipe, for a look at a sample: one a line, or the whole as one.

Reads line by line, so that a pipe shows its first lines at once where it is told to; `auto` looks at up to
4 MiB first. A line over the limit of a record comes cut just beyond it, to be refused as too large. Gzip is
recognised by its first bytes.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, Literal, Protocol, cast

from ingest.decoders.batch import MAX_RECORD
from ingest.decoders.json_text import parse_json
from ingest.events import DecodeError

Split = Literal["auto", "line", "file"]


class Lines(Protocol):
    """What records are read from: files, pipes, and what gzip holds."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, fewer only at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Return a line with its end, or so many bytes of it."""
        ...


_GZIP = b"\x1f\x8b"
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_HEAD, _MANY = 4096, 0.02
"""Bytes that are looked at, and the share of control characters that no text has."""


def opened(raw: BinaryIO) -> Lines:
    """Return the stream itself, or what it unpacks to where it is gzip."""
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", raw))
    return gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == _GZIP else buffered


def values(stream: Lines, split: Split) -> Iterator[bytes]:
    """Yield the values of records. Raises OSError or EOFError where gzip is broken."""
    if split == "line":
        yield from _lines(stream, b"")
        return
    head = stream.read(MAX_RECORD + 1)
    if split == "file" or is_one_record(head):
        if head:
            yield head
        return
    yield from _lines(stream, head)


def is_one_record(value: bytes) -> bool:
    """Say whether bytes are one record rather than one a line: binary, one JSON document, or one line."""
    head = value[:_HEAD]
    if b"\0" in head or len(_CONTROL.findall(head)) > _MANY * len(head):
        return True
    lines = [line for line in value.split(b"\n", 3) if line.strip()]
    if len(lines) <= 1:
        return True
    if value.lstrip()[:1] not in {b"{", b"["}:
        return False
    return _parses(value) or not _parses(lines[0])


def _parses(value: bytes) -> bool:
    try:
        parse_json(value)
    except DecodeError:
        return False
    return True


def _lines(stream: Lines, head: bytes) -> Iterator[bytes]:
    rest = io.BytesIO(head)
    carried = b""
    sources: tuple[Lines, ...] = (rest, stream)
    for source in sources:
        while line := source.readline(MAX_RECORD + 1):
            line, carried = carried + line, b""
            if not line.endswith(b"\n"):
                if source is rest:
                    carried = line  # the line goes on in the stream
                    continue
                _skip_line(source, len(line))
            if line.strip():
                yield line.rstrip(b"\r\n")
    if carried.strip():
        yield carried


def _skip_line(source: Lines, length: int) -> None:
    while length > MAX_RECORD and (more := source.readline(MAX_RECORD)):
        if more.endswith(b"\n"):
            return
