"""A real browser for tests of pages: Chromium without a window, and what it painted.

Blocks until the browser has ended; every run has a profile of its own.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)


def chromium() -> str:
    """Return the browser's path; without one the test fails with what to install."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.fail("Chromium is missing. On Debian: `apt-get install -y chromium`.")
    return found


def browse(url: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run the browser once over `url`, with a profile of its own."""
    command = [chromium(), *_FLAGS, f"--user-data-dir={folder / 'profile'}", *flags, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def colours(path: Path) -> dict[tuple[int, int, int], int]:
    """Return how often each colour occurs in a PNG of 8-bit RGB(A), as Chromium writes them."""
    raw = path.read_bytes()
    position, packed, width, height, depth = 8, b"", 0, 0, 3
    while position < len(raw):
        size = struct.unpack(">I", raw[position : position + 4])[0]
        kind, body = raw[position + 4 : position + 8], raw[position + 8 : position + 8 + size]
        if kind == b"IHDR":
            width, height, bits, colour = struct.unpack(">IIBB", body[:10])
            assert bits == 8
            assert colour in {2, 6}
            depth = 3 if colour == 2 else 4
        elif kind == b"IDAT":
            packed += body
        position += 12 + size
    counts: dict[tuple[int, int, int], int] = {}
    for row in _rows(zlib.decompress(packed), width * depth, height, depth):
        for x in range(0, len(row), depth):
            pixel = (row[x], row[x + 1], row[x + 2])
            counts[pixel] = counts.get(pixel, 0) + 1
    return counts


def _rows(data: bytes, length: int, height: int, depth: int) -> Iterator[bytearray]:
    """Yield the rows with their filters undone (PNG specification, chapter 9)."""
    before = bytearray(length)
    for number in range(height):
        start = number * (length + 1)
        how, row = data[start], bytearray(data[start + 1 : start + 1 + length])
        for x in range(length if how else 0):
            left = row[x - depth] if x >= depth else 0
            up = before[x]
            corner = before[x - depth] if x >= depth else 0
            row[x] = (row[x] + _predicted(how, left, up, corner)) & 0xFF
        yield row
        before = row


def _predicted(how: int, left: int, up: int, corner: int) -> int:
    if how == 1:
        return left
    if how == 2:
        return up
    if how == 3:
        return (left + up) // 2
    guess = left + up - corner
    return min((left, up, corner), key=lambda value: abs(guess - value))
