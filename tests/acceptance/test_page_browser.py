"""The incident page in a real browser: it renders, it fits a phone, and its policy blocks nothing of it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.serve import run_server
from tests.support import samples, served

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


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a full incident's page on a real server."""
    store = served.open_store(tmp_path_factory.mktemp("store"))
    identity = served.fill(store)
    server = run_server(served.client(store).app, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.port}/incidents/{identity}"
    server.stop()
    store.close()


def test_page_renders_headline_and_drawings(url: str, tmp_path: Path) -> None:
    """The browser's own tree holds the headline, the timeline and plots, and its console no refusal."""
    done = browse(url, tmp_path, "--dump-dom")
    assert f"<h1>{samples.analysis().headline}</h1>" in done.stdout
    assert done.stdout.count("<svg") > 5
    assert 'class="k-log"' in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert "Refused to" not in done.stderr


@pytest.mark.parametrize("width", [1200, 520])
def test_page_is_painted(url: str, tmp_path: Path, width: int) -> None:
    """A screenshot shows the style applied: the severity's colour, the card on its background, the bars."""
    target = tmp_path / "page.png"
    browse(url, tmp_path, f"--window-size={width},2600", f"--screenshot={target}")
    colours = _colours(target)
    for name, colour in (
        ("background", (0xF6, 0xF7, 0xF9)),
        ("card", (0xFF, 0xFF, 0xFF)),
        ("severity error", (0xB3, 0x36, 0x1C)),
        ("log anomaly", (0xC2, 0x57, 0x0C)),
        ("curve", (0x16, 0x68, 0xB5)),
        ("incident shade", (0xFD, 0xEE, 0xE6)),
    ):
        assert colours.get(colour, 0) > 20, name


def _colours(path: Path) -> dict[tuple[int, int, int], int]:
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
