"""Cleans text from telemetry before people see it: what a terminal or a chat would obey must not survive.

Pure. Escape sequences, control and format characters (bidirectional overrides, zero width) go; line
breaks stay only where asked for. Escaping for a channel's own markup is that channel's business.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles, links, clipboard
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c]*(?:\x1b\\|\x9c)?"  # DCS, SOS, PM, APC
    r"|\x1b[ -/]*[0-~]"
)
ELLIPSIS = "…"


def line(text: str, limit: int | None = None) -> str:
    """Return `text` as one clean line of at most `limit` characters."""
    return cut(" ".join(_clean(text).split()), limit)


def block(text: str, limit: int | None = None) -> str:
    """Return `text` clean, with its line breaks, of at most `limit` characters."""
    lines = (_clean(part).rstrip() for part in re.split(r"\r\n|\r|\n", text))
    return cut("\n".join(lines).strip("\n"), limit)


def cut(text: str, limit: int | None) -> str:
    """Return `text`, shortened to `limit` characters with an ellipsis as the last."""
    if limit is None or len(text) <= limit:
        return text
    return text[: max(limit - len(ELLIPSIS), 0)].rstrip() + ELLIPSIS if limit > 0 else ""


def _clean(text: str) -> str:
    if text.isprintable():
        return text
    shown = _ESCAPES.sub("", text)
    return "".join(char if char.isprintable() else " " if char.isspace() else "" for char in shown)
