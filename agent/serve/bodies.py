"""Bodies of requests that may be compressed, read within limits: what comes in, and what it unpacks to.

A body is unpacked as it arrives and never beyond its limit, so that a small one cannot fill the memory; all
bodies together stay within a budget. Waits for the sender only, and not for ever.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from ingest.decoders.batch import MAX_RECORD

BUDGET = 64 * 1024 * 1024
"""Bytes of all bodies that wait to be stored."""
SENT_WITHIN = 30.0
"""Seconds that a sender has for its body."""
_GZIP, _ZLIB = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS
_ENCODINGS = {"": None, "identity": None, "gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


class BodyError(Exception):
    """The body cannot be taken: an HTTP status and what to do next."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


@dataclass(slots=True)
class Budget:
    """Bytes held by all requests under way. For one event loop."""

    limit: int = BUDGET
    held: int = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give out a share, empty at first; what it took is given back at the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.held


@dataclass(slots=True)
class Share:
    """What one request holds of the budget."""

    _budget: Budget
    held: int = 0

    def take(self, size: int) -> None:
        """Take `size` bytes more. Raises `BodyError` 429 when there are none left."""
        if self._budget.held + size > self._budget.limit:
            raise BodyError(429, "Too much is under way; send again in a while.")
        self._budget.held += size
        self.held += size


async def read_body(request: Request, share: Share, *, limit: int = MAX_RECORD) -> bytes:
    """Return the unpacked body. Raises `BodyError`: 400, 408, 413, 415 or 429."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise BodyError(415, "Send the body as it is, or with `Content-Encoding: gzip` or `deflate`.")
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > limit:
        raise _too_large(limit)
    window = _ENCODINGS[encoding]
    chunks = request.stream()
    unpacked = _limited(chunks, limit) if window is None else _unpacked(chunks, window, limit)
    parts: list[bytes] = []
    try:
        async with asyncio.timeout(SENT_WITHIN):
            async for part in unpacked:
                share.take(len(part))
                parts.append(part)
    except TimeoutError:
        raise BodyError(408, f"The body did not come within {SENT_WITHIN:g} s; send it again.") from None
    return b"".join(parts)


async def _limited(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        yield chunk


async def _unpacked(chunks: AsyncIterator[bytes], window: int, limit: int) -> AsyncIterator[bytes]:
    """Yield what the chunks unpack to; a body may be several compressed members one after the other."""
    unpacker, left, begun = zlib.decompressobj(window), limit, False
    async for chunk in _limited(chunks, limit):
        while chunk:
            if unpacker.eof:
                unpacker = zlib.decompressobj(window)
            begun = True
            try:
                # One byte more than allowed shows that there is more, and costs no more than that.
                part = unpacker.decompress(chunk, left + 1)
            except zlib.error:
                raise _not_whole() from None
            left -= len(part)
            if left < 0:
                raise _too_large(limit)
            yield part
            chunk = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if begun and not unpacker.eof:
        raise _not_whole()


def _too_large(limit: int) -> BodyError:
    size = f"{limit // 1024 // 1024} MiB" if limit >= 1024 * 1024 else f"{limit // 1024} KiB"
    return BodyError(413, f"A body may have {size} unpacked; send smaller batches.")


def _not_whole() -> BodyError:
    return BodyError(400, "The body is not whole in the encoding that Content-Encoding says.")
