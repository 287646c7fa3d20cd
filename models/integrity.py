"""Whether a weight file is what its sum says, without hashing a gigabyte at every start.

A file that was hashed once leaves a stamp beside it (sum, size, modification time); a stamp that still
fits is believed. Where the folder is read-only no stamp is kept and the file is hashed each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

CHUNK_BYTES = 4 * 1024 * 1024

Advance = Callable[[int], None]
"""Told how many further bytes are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a file looked like when its sum was taken."""

    sha256: str
    size: int
    mtime_ns: int


def sha256_of(path: Path, advance: Advance | None = None) -> str:
    """Return the file's sha256 in hex, reading 4 MiB at a time; OSError where unreadable."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            if advance is not None:
                advance(len(chunk))
    return digest.hexdigest()


def checked_sum(path: Path, advance: Advance | None = None) -> str:
    """Return the file's sha256, from a stamp that still fits or else by hashing; OSError where missing."""
    status = path.stat()
    stamp = _read_stamp(path)
    if stamp is not None and (stamp.size, stamp.mtime_ns) == (status.st_size, status.st_mtime_ns):
        return stamp.sha256
    digest = sha256_of(path, advance)
    _write_stamp(path, Stamp(sha256=digest, size=status.st_size, mtime_ns=status.st_mtime_ns))
    return digest


def fresh_sum(path: Path, advance: Advance | None = None) -> str:
    """Return the file's sha256 by hashing, whatever a stamp says, and renew the stamp."""
    _stamp_path(path).unlink(missing_ok=True)
    return checked_sum(path, advance)


def _stamp_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.sum")


def _read_stamp(path: Path) -> Stamp | None:
    try:
        return msgspec.json.decode(_stamp_path(path).read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError):
        return None


def _write_stamp(path: Path, stamp: Stamp) -> None:
    target = _stamp_path(path)
    scratch = target.with_name(f"{target.name}.new")
    try:
        scratch.write_bytes(msgspec.json.encode(stamp))
        scratch.replace(target)
    except OSError:
        return  # read-only weights are fine; they are hashed again next time
