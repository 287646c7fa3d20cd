"""Mutations that know nothing of a format: bits, cuts, splices, repeats, and tokens that have hurt before."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

LARGEST = 256 * 1024
"""Bytes up to which a mutation grows a value; `grow` alone goes beyond."""
TOKENS: tuple[bytes, ...] = (
    b"\x00", b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xae", b"\xef\xbb\xbf",
    b"\x1b[2J", b"\r\n", b"\n", b"\n\n", b"\t", b" " * 64, b'"', b"'", b"\\", b'\\"', b"\\u0000", b"\\ud800",
    b"{", b"}", b"[", b"]", b"[]", b"{}", b":", b",", b"null", b"true", b"-0", b"1e999", b"-1e-999", b"NaN",
    b"Infinity", b"-Infinity", b"9" * 400, b"18446744073709551616", b"-9223372036854775809", b"0.1e1000",
    b"99999999999999999999.999999999", b"1970-01-01T00:00:00Z", b"9999-12-31T23:59:60.999999999999Z",
    b"2026-02-30T25:61:61Z", b"Feb 30 25:61:61", b"<191>", b"<999>", b"<165>1 ", b"password=", b"Bearer ",
    b"Authorization: ", b"://a:b@", b"a@b.c", b"4111111111111111", b"eyJ", b"AKIA", b"sk-", b"=", b"<*>",
    b"%",
    b"-----BEGIN PRIVATE KEY-----", b"\xe2\x80\xa8", b"\xcc\x81" * 40, "İ".encode() * 8, b"x" * 300,
)  # fmt: skip
_WORD = re.compile(rb"[A-Za-z_]+|\d+|[^A-Za-z0-9_\s]")

Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]
"""(value, randomness, other samples) to a new value."""


def _at(value: bytes, rng: Random) -> int:
    return rng.randrange(len(value) + 1)


def _range(value: bytes, rng: Random) -> tuple[int, int]:
    start = _at(value, rng)
    length = rng.choice((1, 2, 4, 8, 16, 64, 256, len(value)))
    return start, min(len(value), start + rng.randrange(1, length + 2))


def flip(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Flip a few bits."""
    if not value:
        return b"\x01"
    made = bytearray(value)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    return bytes(made)


def put(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Set one byte to one that decoders look at, or to any."""
    if not value:
        return b"\n"
    made = bytearray(value)
    made[rng.randrange(len(made))] = rng.choice(
        (0, 10, 13, 32, 34, 60, 91, 92, 123, 127, 128, 255, rng.randrange(256))
    )
    return bytes(made)


def truncate(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Keep the beginning, or seldom the end."""
    at = _at(value, rng)
    return value[:at] if rng.random() < 0.8 else value[at:]


def remove(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Take a stretch out."""
    start, end = _range(value, rng)
    return value[:start] + value[end:]


def repeat(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Repeat a stretch where it stands, a few times or until the value is large."""
    start, end = _range(value, rng)
    piece = value[start:end] or b"a"
    times = rng.choice((2, 3, 8, 30, 200, 2000))
    times = max(1, min(times, (LARGEST - len(value)) // len(piece)))
    return value[:start] + piece * times + value[end:]


def splice(value: bytes, rng: Random, others: Sequence[bytes]) -> bytes:
    """Go on with another sample somewhere in the middle."""
    other = rng.choice(others)
    return value[: _at(value, rng)] + other[_at(other, rng) :]


def insert(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Put in a token, or a few random bytes."""
    at = _at(value, rng)
    token = rng.choice(TOKENS) if rng.random() < 0.85 else rng.randbytes(rng.randrange(1, 12))
    return value[:at] + token + value[at:]


def swap_tokens(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Exchange two words, numbers or signs."""
    tokens = [match.span() for match in _WORD.finditer(value[:4096])]
    if len(tokens) < 2:
        return value + b" "
    (a, b), (c, d) = sorted(rng.sample(tokens, 2))
    return value[:a] + value[c:d] + value[b:c] + value[a:b] + value[d:]


def replace_token(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Put a telling token in the place of a word, number or sign."""
    tokens = [match.span() for match in _WORD.finditer(value[:4096])]
    if not tokens:
        return rng.choice(TOKENS)
    start, end = rng.choice(tokens)
    return value[:start] + rng.choice(TOKENS) + value[end:]


def grow(value: bytes, rng: Random, _others: Sequence[bytes]) -> bytes:
    """Repeat a stretch up to and over the limit of a record (4 MiB)."""
    start, end = _range(value, rng)
    piece = value[start:end] or b"["
    goal = rng.choice((512 * 1024, 1024 * 1024, 4 * 1024 * 1024 - len(value), 4 * 1024 * 1024 + 1))
    return value[:start] + piece * (goal // len(piece)) + value[end:]


ANY: tuple[Mutation, ...] = (
    flip, flip, put, truncate, remove, repeat, splice, insert, insert, swap_tokens, replace_token,
)  # fmt: skip
