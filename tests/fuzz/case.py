"""One fuzzed input: what a Kafka record carries, how it was made, and how it is kept for later."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The parts of a record that a sender decides."""

    value: bytes
    key: bytes | None = None
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes of everything that a decoder may read."""
        return len(self.value) + len(self.key or b"") + sum(len(n) + len(v) for n, v in self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A case that broke a promise. `signature` is the same for the same fault."""

    target: str
    kind: str
    """exception | broken | slow | memory | hang | crash"""
    signature: str
    detail: str
    seed: int
    index: int


class BrokenPromiseError(Exception):
    """A promise of the target does not hold."""


def save(folder: Path, finding: Finding, case: Case) -> Path:
    """Keep the case as `<target>-<sum>.json` with its value beside it as raw bytes; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{finding.target.replace(':', '-')}-{hashlib.sha256(case.value).hexdigest()[:12]}"
    (folder / f"{name}.bin").write_bytes(case.value)
    note = {
        "target": finding.target,
        "kind": finding.kind,
        "detail": finding.detail,
        "seed": finding.seed,
        "index": finding.index,
        "value": f"{name}.bin",
        "key": None if case.key is None else case.key.hex(),
        "headers": [[key, value.hex()] for key, value in case.headers],
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(note, indent=2) + "\n")
    return path


def load(path: Path) -> tuple[str, Case]:
    """Return the target and the case of a note that `save` wrote."""
    note = json.loads(path.read_text())
    headers = tuple((str(key), bytes.fromhex(value)) for key, value in note["headers"])
    key = None if note["key"] is None else bytes.fromhex(note["key"])
    value = (path.parent / note["value"]).read_bytes()
    return str(note["target"]), Case(value=value, key=key, headers=headers)
