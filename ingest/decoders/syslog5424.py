"""Used by the syslog decoder: RFC 5424 messages, as rsyslog's RSYSLOG_SyslogProtocol23Format writes them.

Pure and linear in the length. Lenient where senders really err: longer names than the RFC allows, UTF-8 in
header fields, `]` unescaped inside a value, structured data left out.
"""

from __future__ import annotations

import re

from ingest.decoders.syslog_message import MAX_PRIORITY, Message
from ingest.decoders.times import parse_text

_HEADER = re.compile(
    r"<([0-9]{1,3})>[1-9][0-9]{0,2} ([^ \n]{1,64}) ([^ \n]{1,255}) ([^ \n]{1,255}) ([^ \n]{1,255}) "
    r"([^ \n]{1,255})(?: |\Z)"
)
_ELEMENT = re.compile(r'\[([^ =\]"\n]{1,255})')
_PARAMETER = re.compile(r' ++([^ =\]"\n]{1,255})="((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_END = re.compile(r" *+\]")
_ESCAPE = re.compile(r'\\(["\\\]])')
NIL = "-"


def parse(text: str) -> Message | None:
    """Return the message that `text` spells, None when it has no RFC 5424 header."""
    header = _HEADER.match(text)
    if header is None or int(header[1]) > MAX_PRIORITY:
        return None
    time = None if header[2] == NIL else parse_text(header[2])
    if time is None and header[2] != NIL:
        return None
    structured, end = _structured(text, header.end())
    return Message(
        priority=int(header[1]),
        time=time,
        host=_known(header[3]),
        app=_known(header[4]),
        process=_known(header[5]),
        message_id=_known(header[6]),
        structured=structured,
        # rsyslog keeps the space that stood before a relayed message, as part of it.
        text=text[end:].removeprefix(" ").removeprefix(" "),
    )


def _known(field: str) -> str | None:
    return None if field == NIL else field


def _structured(text: str, start: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """Return the parameters and where they end; `start` itself when none are well formed."""
    if text.startswith(NIL, start) and text[start + 1 : start + 2] in {"", " "}:
        return (), start + 1
    found: list[tuple[str, str]] = []
    at = start
    while (element := _ELEMENT.match(text, at)) is not None:
        at = element.end()
        while (parameter := _PARAMETER.match(text, at)) is not None:
            found.append((f"{element[1]}.{parameter[1]}", _ESCAPE.sub(r"\1", parameter[2])))
            at = parameter.end()
        closing = _END.match(text, at)
        if closing is None:
            return (), start
        at = closing.end()
    # What follows the last `]` without a space is text that only looked like structured data.
    return (tuple(found), at) if text[at : at + 1] in {"", " "} else ((), start)
