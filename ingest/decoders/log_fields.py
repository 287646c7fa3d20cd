"""Used by the OTLP and flat JSON log decoders: what orders lines, and exceptions told in attributes. Pure."""

from __future__ import annotations

from collections.abc import Mapping

SESSION = ("session.id", "session_id", "sessionId")
THREAD = ("thread.name", "thread", "thread_name", "threadName", "process.thread.name", "thread.id", "tid")
_STACKS = (
    "error.stack_trace", "exception.stacktrace", "exception.stack_trace", "stack_trace", "stacktrace",
    "error.stack", "err.stack", "exc_info", "@x", "exception", "traceback",
)  # fmt: skip
_ERRORS = ("error.message", "error", "err")
"""Names of what went wrong in words; the short ones are what loggers for Go write."""
_NO_WORDS = frozenset({"true", "false", "null", "nil", "none", "<nil>"})
TOLD = frozenset({*_STACKS, *_ERRORS, "exception.type", "exception.message"})
"""Attributes of which any has to be there for the body to say more."""
LONGEST = 256
"""Characters of a key; it only has to be the same for lines that belong together."""


def sequence_key(attributes: Mapping[str, str], instance: str | None) -> str | None:
    """Return what orders lines without a trace: the session, else the thread of this instance."""
    for name in SESSION:
        if attributes.get(name):
            return attributes[name][:LONGEST]
    for name in THREAD:
        if attributes.get(name):
            return f"{instance or ''}/{attributes[name][:LONGEST]}"
    return None


def with_exception(body: str, attributes: Mapping[str, str]) -> str:
    """Return the body with `type: message` of the exception attributes below it, unless it says them."""
    name, message = attributes.get("exception.type", ""), attributes.get("exception.message", "")
    if not name and not message:
        return body
    told = f"{name}: {message}" if name and message else name or message
    if told in body:
        return body
    return f"{body}\n{told}" if body else told


def with_error(body: str, attributes: dict[str, str]) -> str:
    """Return the body with the stack trace, and with the error that neither of them names, below it.

    A trace that is told moves from `attributes` to the body, where it is not cut to a label's length.
    """
    if TOLD.isdisjoint(attributes):
        return body
    stack = next((attributes.pop(name) for name in _STACKS if attributes.get(name)), "").strip("\n")
    if stack and stack not in body:
        body = f"{body}\n{stack}".lstrip("\n")
    told = next((attributes[name] for name in _ERRORS if _in_words(attributes.get(name, ""))), "")
    if told and told not in body:
        name = attributes.get("error.type", "")
        told = f"{name}: {told}" if name else told
        body = f"{body}\n{told}".lstrip("\n")
    return with_exception(body, attributes)


def _in_words(text: str) -> bool:
    """Whether it says what went wrong, not only that something did: no flag, number or structure."""
    return text.lower() not in _NO_WORDS and text[:1] not in {"{", "["} and any(map(str.isalpha, text))
