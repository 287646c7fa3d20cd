"""Before Drain3: what varies in a log body is replaced by what it is, with no setting for any system.

A pure function of the body. Every pattern starts at a word boundary or has bounded repeats, so that no
body, however hostile, takes more than linear time. `MASKING_VERSION` is part of every template id:
change it when a rule changes.
"""

from __future__ import annotations

import re

MASKING_VERSION = "2"
MAX_BODY = 4096
"""Characters of a body that templates look at."""

_EXCEPTION = re.compile(
    r"^(?:Caused by: |Exception in thread \S{1,100} )?"
    r"((?:\w{1,80}\.){0,12}\w{0,80}(?:Exception|Error|Fault|Panic))\b",
    re.MULTILINE,
)
_PSEUDONYM = re.compile(r"<(secret|pii):(\w{1,40}):[0-9a-f]{1,64}>")
_REQUEST_LINE = r"(?!(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)\s)"
_QUOTED = re.compile(
    rf"(?<!\w)(?:\"{_REQUEST_LINE}([^\"\n]{{1,200}})\"(?!\s*:)|'([^'\n]{{1,200}})'(?![\w]|\s*:))"
)
_URL = re.compile(
    r"(?<![\w+.-])([A-Za-z][\w+.-]{1,20})://([^\s/?#\"'<>,;)\]}]{1,300})"
    r"([^\s?#\"'<>,;)\]}]*)([?#][^\s\"'<>)\]}]*)?"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}")
_PAIR = re.compile(r"(?<!\w)([A-Za-z_][\w.-]{0,60})=(\[[^\[\]]{0,500}\]|[^\s,;()\[\]{}\"']+)")
_TELLING = (
    "msg|message|error|err|exception|reason|level|severity|event|status|state|type|kind|method|op|operation"
    "|component|logger|caller|action|result|outcome|phase|cause"
)
_TELLING_KEY = re.compile(rf"(?:{_TELLING})\Z", re.IGNORECASE)
_TELLING_BEFORE = re.compile(rf"(?<![A-Za-z])(?:{_TELLING})[\"']?\s?[:=]\s?\Z", re.IGNORECASE)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d{1,9})?(?:\s?(?:Z|UTC|GMT|[AP]M)\b|\s?[+-]\d{2}:?\d{2}\b)?"
_UNITS_TIME = "(?:nano|micro|milli)?seconds?|millis|secs?|minutes?|mins?|hours?|hrs?|days?|msec|usec"
_UNITS_SIZE = "[KMGTP]i?[Bb]|[kmgtp]b|bytes?"
_VARYING = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    # Where in the code a line comes from names its statement: the one number that does not vary.
    r"(?P<code>(?:[A-Za-z_$][\w$]{0,60}\.){1,10}[A-Za-z_$][\w$]{0,60}#\d{1,6}(?![\w.])"
    r"|[A-Za-z_$][\w$.-]{0,80}\.(?:java|kt|scala|groovy|py|go|rs|cc?|cpp|cs|js|ts|rb|php):\d{1,6}(?![\w.]))"
    rf"|(?P<time>\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[T ,]{{1,2}}{_CLOCK})?(?![\d])"
    rf"|\d{{1,2}}[-/. ]{_MONTH}[-/. ,]{{1,2}}\d{{4}}(?:[: ]{_CLOCK})?"
    rf"|(?:{_DAY}[a-z]{{0,6}},? )?{_MONTH} {{1,2}}\d{{1,2}},? {_CLOCK}(?: \d{{4}}\b)?"
    rf"|\d{{1,2}}/\d{{1,2}}/\d{{2,4}}(?: {_CLOCK})?(?!\d)"
    rf"|{_CLOCK}(?![\d:]))"
    r"|(?P<id>[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}(?![A-Za-z0-9])"
    r"|0[xX][0-9a-fA-F]+|(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{32}|-?\d{16,40})(?![A-Za-z0-9]))"
    r"|(?P<ip>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\.?\d)(?::\d{1,5}(?!\d))?"
    r"|(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:]))"
    rf"|(?P<duration>\d+(?:\.\d+)?(?:\s?(?:{_UNITS_TIME}|[nuµm]s)|[smhd])(?![\w]))"
    rf"|(?P<size>\d+(?:\.\d+)?(?:\s?(?:{_UNITS_SIZE})|B)(?![\w]))"
    r"|(?P<num>[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?%?(?![A-Za-z0-9]))"
    r"|(?P<word>[A-Za-z]{0,200}\d[A-Za-z0-9]*)"
    r")"
)
_DIGITS = re.compile(r"\d+")
_HEX = re.compile(r"[0-9a-fA-F]{8,}\Z")
_SWITCH = re.compile(r"(?<=\d)(?=[A-Za-z])|(?<=[A-Za-z])(?=\d)")
_SWITCHES_OF_AN_ID = 3


def subject(body: str) -> str:
    """Return the part of `body` that templates are made of: its first line and the exception it carries."""
    text = body[:MAX_BODY].strip()
    first, newline, rest = text.partition("\n")
    if not newline:
        return first
    found = _EXCEPTION.search(rest)
    return f"{first} {found.group(1)}" if found and found.group(1) not in first else first


def mask(text: str) -> str:
    """Return one line with values replaced by their kind: `<time>`, `<id>`, `<ip>`, `<num>` and so on."""
    if "<" in text:
        # Drain3's own sign for "anything", should a body spell it, would match nothing ever after.
        text = text.replace("<*>", "<any>")
        text = _PSEUDONYM.sub(r"<\1:\2>", text)
    if '"' in text or "'" in text:
        text = _QUOTED.sub(_quoted, text)
    if "://" in text:
        text = _URL.sub(_url, text)
    if "@" in text:
        text = _EMAIL.sub("<email>", text)
    if "=" in text:
        text = _PAIR.sub(_pair, text)
    return _VARYING.sub(_varying, text)


def _varying(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "code":
        return match.group()
    return f"<{kind}>" if kind != "word" else _word(match.group())


def _word(word: str) -> str:
    """Letters with digits: an opaque id as a whole, else only its digits."""
    if _HEX.match(word) or len(_SWITCH.findall(word)) >= _SWITCHES_OF_AN_ID:
        return "<id>"
    return _DIGITS.sub("<num>", word)


def _quoted(match: re.Match[str]) -> str:
    """Take a quoted value for a value, unless its key says that it is the message itself."""
    start = match.start()
    if _TELLING_BEFORE.search(match.string, max(0, start - 24), start):
        return match.group()
    quote = match.string[start]
    return f"{quote}<str>{quote}"


def _pair(match: re.Match[str]) -> str:
    key = match.group(1)
    if _TELLING_KEY.search(key):
        return match.group()
    return f"{_DIGITS.sub('<num>', key)}=<val>"


def _url(match: re.Match[str]) -> str:
    scheme, host, path, query = match.groups()
    return f"{scheme}://{host}{path}{'?<query>' if query else ''}"
