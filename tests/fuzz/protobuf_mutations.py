"""Mutations of protobuf's wire format: fields change, move and nest, and lengths lie."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from functools import lru_cache
from random import Random

from tests.fuzz.bytes_mutations import LARGEST

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_DEPTH = 8
_HUGE = (0, 1, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**70)

Field = tuple[int, int, "bytes | list[Field]"]
"""(number, wire type, raw bytes or the fields inside)."""


def varint(number: int) -> bytes:
    """Encode a number of any size; the longest are more than protobuf allows."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def _read_varint(raw: bytes, at: int) -> tuple[int, int] | None:
    number = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
    return None


def parse(raw: bytes, depth: int = _DEPTH) -> list[Field] | None:
    """Return the fields of a message, guessing which bytes are messages; None where it is none."""
    fields: list[Field] = []
    at = 0
    while at < len(raw):
        read = _field(raw, at, depth)
        if read is None:
            return None
        field, at = read
        fields.append(field)
    return fields


def _field(raw: bytes, at: int, depth: int) -> tuple[Field, int] | None:
    tag = _read_varint(raw, at)
    if tag is None or not tag[0] >> 3:
        return None
    number, kind, start = tag[0] >> 3, tag[0] & 7, tag[1]
    if kind == VARINT:
        read = _read_varint(raw, start)
        return None if read is None else ((number, kind, raw[start : read[1]]), read[1])
    if kind == BYTES:
        length = _read_varint(raw, start)
        if length is None or length[1] + length[0] > len(raw):
            return None
        end = length[1] + length[0]
        piece = raw[length[1] : end]
        inside = parse(piece, depth - 1) if depth and len(piece) > 1 else None
        return (number, kind, piece if inside is None else inside), end
    size = {FIXED64: 8, FIXED32: 4}.get(kind)
    if size is None or start + size > len(raw):
        return None
    return (number, kind, raw[start : start + size]), start + size


def write(fields: list[Field], rng: Random | None = None, lie: float = 0.0) -> bytes:
    """Encode fields; with probability `lie` each length is wrong."""
    made = bytearray()
    for number, kind, content in fields:
        raw = content if isinstance(content, bytes) else write(content, rng, lie)
        made += varint(number << 3 | kind)
        if kind == BYTES:
            length = len(raw)
            if rng is not None and lie and rng.random() < lie:
                length = rng.choice((*_HUGE, length + 1, max(0, length - 1), length * 2, length // 2))
            made += varint(length)
        made += raw
    return bytes(made)


def mutate_protobuf(value: bytes, rng: Random, others: Sequence[bytes]) -> bytes | None:
    """Return the message with a few fields changed or its lengths lying; None where it is no message."""
    kept = _parsed(value) if value else None
    if kept is None:
        return None
    fields: list[Field] = marshal.loads(kept)  # a copy of its own, made faster than by any other way
    if rng.random() < 0.2:
        return write(fields, rng, lie=rng.choice((0.02, 0.1, 0.5)))
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(fields, rng, others)
    return write(fields)


@lru_cache(maxsize=4096)
def _parsed(value: bytes) -> bytes | None:
    """Return the fields of a message, packed; most mutations begin with one of a few hundred samples."""
    fields = parse(value)
    return marshal.dumps(fields) if fields else None


def _lists(fields: list[Field]) -> list[list[Field]]:
    found = [fields]
    for inner in found:
        found.extend(content for _, _, content in inner if isinstance(content, list))
    return [inner for inner in found if inner] or [fields]


def _change(fields: list[Field], rng: Random, others: Sequence[bytes]) -> None:
    lists = _lists(fields)
    place = rng.choice(lists)
    if not place:
        place.append((1, VARINT, b"\x01"))
        return
    at = rng.randrange(len(place))
    number, kind, content = place[at]
    what = rng.randrange(8)
    if what == 0:
        del place[at]
    elif what == 1:
        whole = _leaf(place[at])
        place[at:at] = [whole] * min(rng.choice((1, 3, 50)), 1 + LARGEST // (1 + len(whole[2])))
    elif what == 2:
        place[at] = _leaf(rng.choice(rng.choice(lists) or place))
    elif what == 3:
        place[at] = (
            rng.choice((number, rng.randrange(1, 40), 2**29 - 1)),
            rng.choice((0, 1, 2, 3, 4, 5, 6, 7)),
            content,
        )
    elif what == 4:
        place[at] = _nested(number, content, rng)
    elif what == 5:
        place[at] = (number, kind, _fresh(kind, rng))
    elif what == 6:
        spliced = parse(rng.choice(others))
        if spliced:
            place.insert(at, rng.choice(rng.choice(_lists(spliced))))
    else:
        place[at] = (number, BYTES, rng.choice((b"", b"\xff", b"\xed\xa0\x80", b"\x00" * 16, b"a" * 70_000)))


def _leaf(field: Field) -> tuple[int, int, bytes]:
    """Return the field with its content written out: moved whole it cannot come to hold itself."""
    number, kind, content = field
    return number, kind, content if isinstance(content, bytes) else write(content)


def _fresh(kind: int, rng: Random) -> bytes:
    if kind == VARINT:
        return varint(rng.choice(_HUGE))
    if kind == FIXED64:
        return rng.choice(
            (b"\xff" * 8, b"\0" * 8, b"\0\0\0\0\0\0\xf0\x7f", b"\0\0\0\0\0\0\xf8\xff", rng.randbytes(8))
        )
    if kind == FIXED32:
        return rng.randbytes(4)
    return rng.choice(
        (b"", b"\x00", b"\xff\xfe", b"\xc0\x80", rng.randbytes(rng.choice((1, 8, 16, 17, 300))))
    )


def _nested(number: int, content: bytes | list[Field], rng: Random) -> Field:
    """Nest the field in itself, as an any-value's lists do, past the depth that protobuf allows."""
    inner: Field = (number, BYTES, content)
    outer = rng.choice((number, 1, 5, 6))
    for _ in range(rng.choice((2, 20, 99, 120))):
        inner = (outer, BYTES, [inner])
    return inner
