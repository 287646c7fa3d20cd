"""Small vocabularies that the sample grammars draw from."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import Any

NOW_S = 1_800_000_000
"""Seconds since the epoch at which the fuzzer's clock stands."""
SERVICES = ("cart", "checkout", "payments-v2", "orders", "unknown_service:java", "прод", "")
HOSTS = ("node-1", "ip-10-0-3-7.ec2.internal", "cart-7d9c5b8f6-x2x7k", "::1", "-")
LEVELS: tuple[Any, ...] = (
    "INFO",
    "warn",
    "ERROR",
    "Fatal",
    "debug",
    30,
    50,
    3,
    17,
    "SEVERITY_NUMBER_ERROR2",
    None,
    "",
)
LINES = (
    "GET /api/orders/8812?user=42 200 13ms",
    "connection refused by payments:8443 after 3 attempts",
    'level=error msg="pool exhausted" active=50 waiting=212',
    "a.b.IllegalStateException: expired\n\tat shop.Cart.add(Cart.java:42)\nCaused by: java.io.IOException",
    "2026-06-01T12:00:00.123Z ERROR [main] db - deadlock detected, process 4711 waits for ShareLock",
    "E0601 12:00:00.000000   1 reflector.go:138] failed to list *v1.Pod: Unauthorized",
    "user a.b+c@example.com paid with 4111 1111 1111 1111, token=ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln password='it''s' https://u:p@h/x",
    '{"nested": "json in text", "n": 1}',
    "",
    "   ",
    "日本語 ログ ✓ \x1b[31mred\x1b[0m",
)


def iso(rng: Random) -> str:
    """Return a time near now in one of the forms of RFC 3339 and its relatives."""
    moment = datetime.fromtimestamp(NOW_S - rng.randrange(86_400), UTC)
    form = rng.choice(("%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"))
    fraction = rng.choice(("", ".1", ".123", ",123456", ".123456789"))
    return f"{moment:{form}}{fraction}{rng.choice(('Z', '+00:00', '+05:30', '-0800', ''))}"


def epoch(rng: Random) -> int | float:
    """Return a time near now as a number of seconds, milli-, micro- or nanoseconds."""
    seconds = NOW_S - rng.randrange(86_400)
    return rng.choice((seconds, seconds + 0.25, seconds * 1000, seconds * 10**6, seconds * 10**9))


def hexed(rng: Random, size: int) -> str:
    """Return an id of so many bytes as hex text."""
    return rng.randbytes(size).hex()


def line(rng: Random) -> str:
    """Return a log line."""
    return rng.choice(LINES)
