"""The words between the parent and the llama.cpp child: msgpack frames on two pipes.

A frame is a 4-byte big-endian length and that many bytes. One request is answered by one reply with the
same `id`; `Cancel` has no reply of its own, it makes the running request answer sooner.
"""

from __future__ import annotations

import struct
from typing import IO

import msgspec

MAX_FRAME_BYTES = 16 * 1024 * 1024
_HEADER = struct.Struct(">I")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of a chat."""

    role: str
    content: str


class Load(msgspec.Struct, frozen=True, kw_only=True, tag="load"):
    """Open a GGUF file; the first request of every child."""

    id: int
    path: str
    context_tokens: int
    threads: int


class Chat(msgspec.Struct, frozen=True, kw_only=True, tag="chat"):
    """Answer a chat. `schema` is JSON Schema as text, None for free text; `deadline` in seconds from now."""

    id: int
    messages: tuple[Message, ...]
    schema: str | None
    max_tokens: int
    temperature: float
    seed: int
    stop: tuple[str, ...]
    deadline: float


class Count(msgspec.Struct, frozen=True, kw_only=True, tag="count"):
    """How many tokens each text has."""

    id: int
    texts: tuple[str, ...]


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag="ping"):
    """Ask for a sign of life."""

    id: int


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Stop the request of that id, if it still runs."""

    id: int


class Loaded(msgspec.Struct, frozen=True, kw_only=True, tag="loaded"):
    """The model is open. `gpu`: all layers are offloaded."""

    id: int
    gpu: bool
    context_tokens: int
    seconds: float


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """A chat's answer. `finish_reason` is `stop` or `length`."""

    id: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    prompt_seconds: float
    seconds: float


class Counted(msgspec.Struct, frozen=True, kw_only=True, tag="counted"):
    """Token counts in the order of the texts."""

    id: int
    tokens: tuple[int, ...]


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag="pong"):
    """The sign of life."""

    id: int


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """No answer. `reason` is an `UnavailableReason`, or `bad_request` for a caller's mistake."""

    id: int
    reason: str
    message: str


BAD_REQUEST = "bad_request"

Request = Load | Chat | Count | Ping | Cancel
Reply = Loaded | Answer | Counted | Pong | Failed


class BrokenFrameError(Exception):
    """The stream ended inside a frame, or holds something that is no frame."""


def write_frame(stream: IO[bytes], message: Request | Reply) -> None:
    """Write one frame and flush; OSError where the other side is gone."""
    body = msgspec.msgpack.encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise ValueError(f"A message of {len(body)} bytes is over the limit of {MAX_FRAME_BYTES}.")
    stream.write(_HEADER.pack(len(body)) + body)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Return the next frame's body, None at the end of the stream; `BrokenFrameError` on garbage."""
    header = stream.read(_HEADER.size)
    if not header:
        return None
    if len(header) < _HEADER.size:
        raise BrokenFrameError("The stream ended inside a frame header.")
    (length,) = _HEADER.unpack(header)
    if length > MAX_FRAME_BYTES:
        raise BrokenFrameError(f"A frame claims {length} bytes; something else writes on this pipe.")
    body = stream.read(length)
    if len(body) < length:
        raise BrokenFrameError("The stream ended inside a frame.")
    return body


def decode_request(body: bytes) -> Request:
    """Decode a request; `BrokenFrameError` where it is none."""
    try:
        request: Request = msgspec.msgpack.decode(body, type=Request)
    except msgspec.DecodeError as error:
        raise BrokenFrameError(str(error)) from error
    return request


def decode_reply(body: bytes) -> Reply:
    """Decode a reply; `BrokenFrameError` where it is none."""
    try:
        reply: Reply = msgspec.msgpack.decode(body, type=Reply)
    except msgspec.DecodeError as error:
        raise BrokenFrameError(str(error)) from error
    return reply
