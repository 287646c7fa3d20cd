"""Used by every log decoder: names, numbers and line prefixes of levels as OpenTelemetry's 1..24. Pure."""

from __future__ import annotations

import re

TRACE, DEBUG, INFO, NOTICE, WARN, ERROR, CRIT, ALERT, FATAL = 1, 5, 9, 10, 13, 17, 18, 19, 21

_NAMES = {
    "trace": TRACE, "verbose": TRACE, "finest": TRACE, "finer": TRACE, "v": TRACE, "t": TRACE,
    "debug": DEBUG, "fine": DEBUG, "dbg": DEBUG, "d": DEBUG, "config": DEBUG,
    "info": INFO, "information": INFO, "informational": INFO, "inf": INFO, "i": INFO, "log": INFO,
    "notice": NOTICE, "n": NOTICE,
    "warn": WARN, "warning": WARN, "wrn": WARN, "w": WARN,
    "error": ERROR, "err": ERROR, "severe": ERROR, "e": ERROR, "exception": ERROR,
    "crit": CRIT, "alert": ALERT,
    "critical": FATAL, "fatal": FATAL, "emerg": FATAL, "emergency": FATAL, "panic": FATAL, "dpanic": FATAL,
    "f": FATAL, "c": FATAL, "ftl": FATAL,
}  # fmt: skip
_SYSLOG = (FATAL, ALERT, CRIT, ERROR, WARN, NOTICE, INFO, DEBUG)
_TENS = {10: TRACE, 20: DEBUG, 30: INFO, 40: WARN, 50: ERROR, 60: FATAL}
"""Bunyan's and pino's numbers."""
_DIGITS = 4

_LETTERS = {"I": INFO, "W": WARN, "E": ERROR, "F": FATAL}
_KLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d")
_PAIR = re.compile(r"""(?:level|severity|lvl|loglevel)["']?\s{0,2}[=:]\s{0,2}["']?([A-Za-z]{3,13})\b""")
_WORD = re.compile(
    r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|CRIT|CRITICAL|FATAL|PANIC|EMERG|ALERT)\b"
    r"|[\[<](trace|debug|info|notice|warn|warning|error|err|crit|critical|alert|emerg|fatal)[\]>]"
    r"|^(panic|fatal|error|warning)(?: error)?:"
    r"|(^Traceback \(most recent call last\)|^Exception in thread )"
)
_LOOK = 256
"""Characters of a line in which its level is looked for."""


def from_name(name: str) -> int:
    """Return the severity number of a level's name, 0 when it is none; `SEVERITY_NUMBER_WARN2` works too."""
    word = name.strip().strip("[]<>").lower().removeprefix("severity_number_")
    if word.isdigit():
        # Nothing longer is a level, int() refuses thousands of digits, and "²" is a digit but no number.
        return from_number(int(word)) if word.isascii() and len(word) <= _DIGITS else 0
    known = _NAMES.get(word)
    if known is not None:
        return known
    base = _NAMES.get(word.rstrip("234"))
    return base + int(word[-1]) - 1 if base is not None and word[-1:] in "234" and len(word) > 4 else 0


def from_number(level: float) -> int:
    """Return the severity of a numeric level: 10, 20 ... 60 as pino counts, 0..7 as syslog does, else 0."""
    if level in _TENS:
        return _TENS[int(level)]
    return _SYSLOG[int(level)] if 0 <= level <= 7 else 0


def from_line(line: str) -> int:
    """Return the severity that the first characters of a line show, 0 when they show none."""
    head = line[:_LOOK]
    klog = _KLOG.match(head)
    if klog is not None:
        return _LETTERS[klog[1]]
    pair = _PAIR.search(head)
    if pair is not None:
        return from_name(pair[1])
    word = _WORD.search(head)
    if word is None:
        return 0
    return ERROR if word[4] else _NAMES[(word[1] or word[2] or word[3]).lower()]
