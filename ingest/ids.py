"""Deterministic ids: the same facts give the same id on every worker, run and restart."""

from __future__ import annotations

import hashlib


def digest(prefix: str, *parts: str, length: int = 16) -> str:
    """Return `prefix_` and `length` hex digits of a hash over `parts`, order and boundaries kept."""
    raws = [part.encode("utf-8", "surrogatepass") for part in parts]
    whole = b"".join([len(raw).to_bytes(4, "big") + raw for raw in raws])
    return f"{prefix}_{hashlib.blake2b(whole, digest_size=16).hexdigest()[:length]}"
