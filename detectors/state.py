"""How every detector turns its state into bytes and back: MessagePack with name and version in front.

Equal state gives equal bytes; bytes of another detector or version are refused, never guessed at.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

S = TypeVar("S")
K = TypeVar("K")
V = TypeVar("V")


def freeze(name: str, version: str, state: Any) -> bytes:
    """Return `state` (a dataclass of plain values) as bytes that say whose they are."""
    return msgspec.msgpack.encode((name, version, msgspec.Raw(msgspec.msgpack.encode(state))))


def thaw(name: str, version: str, kind: type[S], raw: bytes) -> S:
    """Return the state in `raw`; raises ValueError when it is damaged or of another name or version."""
    try:
        found, found_version, body = msgspec.msgpack.decode(raw, type=tuple[str, str, msgspec.Raw])
    except msgspec.DecodeError as error:
        raise ValueError(f"the state of {name} cannot be read ({error}); start it afresh") from error
    if (found, found_version) != (name, version):
        raise ValueError(f"state of {found} {found_version} does not fit {name} {version}; start it afresh")
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"the state of {name} {version} is damaged ({error}); start it afresh") from error


def touch(entries: dict[K, V], key: K, limit: int) -> int:
    """Move `key` to the young end and drop the oldest beyond `limit`; return how many were dropped."""
    entries[key] = entries.pop(key)
    dropped = 0
    while len(entries) > limit:
        del entries[next(iter(entries))]
        dropped += 1
    return dropped
