"""Before Drain3: what varies in a log body is replaced by what it is, with no setting for any system.

A pure function of the line's shape (`ingest.shapes`). Every pattern starts at a word's boundary or has
bounded repeats, so that no body, however hostile, takes more than linear time. `MASKING_VERSION` is part of
every template id: change it when a rule changes.
"""

from __future__ import annotations

import re

from ingest.shapes import LONG_LINE, SOURCES, reference_shape
from ingest.trace_lines import error_types

MASKING_VERSION = "4"
MAX_BODY = 4096
"""Characters of a line that templates look at."""

_PSEUDONYM = re.compile(r"<(secret|pii):(\w{1,40}):(?:<id>|[^<>\s]{1,64})>")
_REQUEST_LINE = r"(?!(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)\s)"
_QUOTED = re.compile(
    rf"(?<!\w)(?:\"{_REQUEST_LINE}((?:[^\"\\\n]|\\.){{1,200}}+)\"(?!\s*:)|'([^'\n]{{1,200}})'(?![\w]|\s*:))"
)
_ESCAPED = re.compile(r'\\"[^"\\\n]{1,200}\\"')
_URL = re.compile(r"(?<![\w+.-])[A-Za-z][\w+.-]{1,20}://(?:[^\s\"'<>,;)\]}]|<\w+>)+")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}")
_PATH_SIGN = r"(?:[\w.+@%~$*:#-]|<\w+>)"
_PATH = re.compile(
    rf"(?<![\w.>:])(?:~|\.{{1,2}})?(?:/{_PATH_SIGN}+){{2,}}/?"
    r"|(?<![\w.>])[A-Za-z]:\\(?:[\w.+@%~$*#\\-]|<\w+>)+"
    r"|(?<=\s)/(?:[\w.+@%~$-]|<\w+>){2,}"
)
_NAME = re.compile(
    r"(?<![\w.<>/$@-])(?:[A-Za-z_$][\w$-]*|<id>)(?:\.(?:[\w$-]|<id>)+){2,}(?:@(?:0|<id>))?(?::0)?(?![\w#])"
)
_FAILURE = re.compile(r"(?:Exception|Error|Fault|Panic|Throwable)(?:\Z|[:@])")
_PAIR = re.compile(r"(?<!\w)([A-Za-z_][\w.-]{0,60})=(\[[^\[\]]{0,500}\]|(?:[^\s,;()\[\]{}\"'<]|<\w+>)+)")
_COLON_PAIR = re.compile(
    r"(?<![\w/.:<])([A-Za-z_][\w-]{0,60}):((?:[^\s,;:()\[\]{}\"'<=]|<\w+>)+)(?![:\w])(?!\S{0,200}:)"
)
_TELLING = (
    "msg|message|error|err|exception|reason|level|severity|event|status|state|type|kind|method|op|operation"
    "|component|logger|caller|action|result|outcome|phase|cause"
)
_TELLING_KEY = re.compile(rf"(?:{_TELLING})\Z", re.IGNORECASE)
_TELLING_BEFORE = re.compile(rf"(?<![A-Za-z])(?:{_TELLING})[\"']?\s?[:=]\s?\Z", re.IGNORECASE)
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_CLOCK = r"0:0:0(?:[.,:]0)?(?:\s?(?:Z|UTC|GMT|[AP]M)\b|\s?[+-]0(?::0)?\b)?"
_UNITS_TIME = "(?:nano|micro|milli)?seconds?|millis|secs?|minutes?|mins?|hours?|hrs?|days?|msec|usec"
_UNITS_SIZE = "[KMGTP]i?[Bb]|[kmgtp]b|bytes?"
_VARYING = re.compile(
    r"(?P<known>(?:(?<![A-Za-z0-9>])-)?<id>|<\w{1,20}>|<(?:secret|pii):\w{1,40}>)"
    # Where in the code a line comes from names its statement: the one number that does not vary.
    rf"|(?<![\w$.])(?P<code>(?:[A-Za-z_$][\w$]{{0,60}}\.){{1,10}}[A-Za-z_$][\w$]{{0,60}}#\d{{1,{LONG_LINE}}}"
    rf"(?![\w.])|[A-Za-z_$][\w$.-]{{0,80}}\.(?:{'|'.join(SOURCES)}):\d{{1,{LONG_LINE}}}(?![\w.]))"
    r"|(?<![A-Za-z0-9])(?:"
    rf"(?P<time>(?<!0-)0[-/.]0[-/.]0(?:(?:T|[ ,]{{1,2}}|:){_CLOCK}|T0)?(?![\w-]|\.\w)"
    rf"|0[-/. ]{_MONTH}[-/. ,]{{1,2}}0(?:[: ]{_CLOCK})?"
    rf"|(?:{_DAY}[a-z]{{0,6}},? )?{_MONTH} {{1,2}}0,? {_CLOCK}(?: (?:[A-Z]{{3,4}} )?0\b)?"
    rf"|{_CLOCK}(?![\w:]))"
    r"|(?P<ip>0\.0\.0\.0(?!\.?\w)(?::0)?|(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}(?![\w:]))"
    rf"|(?P<duration>(?:(?:0[hm]){{1,2}}0(?:\.0)?s|0(?:\.0)?(?:\s?(?:{_UNITS_TIME}|[nuµm]?s)|[mhd]))(?!\w))"
    rf"|(?P<size>0(?:\.0)?(?:\s?(?:{_UNITS_SIZE})|B)(?!\w))"
    r"|(?P<num>[-+]?0(?:[.,]0)*(?:[eE][-+]?0)?%?(?![A-Za-z0-9]))"
    r"|(?P<bool>(?:true|false|True|False|TRUE|FALSE)(?!\w)))"
    r"|(?P<figures>0)"
)
_UNIT = re.compile(
    r"(?<![\w.<>/$@\\-])[A-Za-z](?:[\w@\\:-]|<id>){0,120}\.(?:[\w-]{1,40}\.)?"
    r"(?:service|slice|scope|socket|timer|mount|automount|swap|target|device)(?![\w-]|\.\w)"
)
MAX_WORDS = 128
"""Words of a line that templates look at; the rest is `<more>`."""
_COLUMNS = 3
"""Signs between columns from which on a line without a blank is a table's row."""
_REPEATED = 3
"""Words that a list repeats, at most: `node-<num> <id> <ok>` once for each node."""


def subject(body: str) -> str:
    """Return the part of `body` that templates are made of: its first line and the errors named below it."""
    first, broken, rest = body.strip().partition("\n")
    first = first[:MAX_BODY].rstrip()
    return " ".join((first, *error_types(first, rest))) if broken else first


def mask(text: str) -> str:
    """Return one line with values replaced by their kind: `<time>`, `<id>`, `<ip>`, `<num>` and so on."""
    return mask_shape(reference_shape(text))


def mask_shape(text: str) -> str:
    """Return the masked line of a shape; equal shapes have equal masks."""
    if "<" in text:
        # Drain3's own sign for "anything", should a body spell it, would match nothing ever after.
        text = text.replace("<*>", "<any>")
        text = _PSEUDONYM.sub(r"<\1:\2>", text)
    if '\\"' in text:
        text = _ESCAPED.sub(r'\\"<str>\\"', text)
    if '"' in text or "'" in text:
        text = _QUOTED.sub(_quoted, text)
    if "://" in text:
        text = _URL.sub("<url>", text)
    if "@" in text:
        text = _EMAIL.sub("<email>", text)
    if "/" in text or "\\" in text:
        text = _PATH.sub("<path>", text)
    if "." in text:
        text = _UNIT.sub("<name>", _NAME.sub(_name, text))
    if "=" in text:
        text = _PAIR.sub(_pair, text)
    if ":" in text:
        text = _COLON_PAIR.sub(_colon_pair, text)
    words = _words(_VARYING.sub(_varying, text))
    return _once(words if len(words) <= MAX_WORDS else [*words[:MAX_WORDS], "<more>"])


def _words(text: str) -> list[str]:
    """Return what blanks part; where nothing but one other sign parts anything, what that sign parts."""
    words = text.split()
    if len(words) > 1:
        return words
    for sign in ",;|":
        if text.count(sign) >= _COLUMNS:
            return text.replace(sign, f"{sign} ").split()
    return words


def _varying(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "known":
        return match.group().lstrip("-")
    if kind == "code":
        return match.group()
    return "<num>" if kind == "figures" else f"<{kind}>"


def _quoted(match: re.Match[str]) -> str:
    """Take a quoted value for a value, unless its key says that it is the message itself."""
    start = match.start()
    if _TELLING_BEFORE.search(match.string, max(0, start - 24), start):
        return match.group()
    quote = match.string[start]
    return f"{quote}<str>{quote}"


def _name(match: re.Match[str]) -> str:
    """Take a dotted name (class, host, property) for a value, but not that of an error."""
    return match.group() if _FAILURE.search(match.group()) else "<name>"


def _pair(match: re.Match[str]) -> str:
    key = match.group(1)
    return match.group() if _TELLING_KEY.search(key) else f"{key}=<val>"


def _colon_pair(match: re.Match[str]) -> str:
    key = match.group(1)
    return match.group() if _TELLING_KEY.search(key) else f"{key}:<val>"


def _once(words: list[str]) -> str:
    """Join the words; of masked ones that repeat one after the other, as in a list, the first stay."""
    kept: list[str] = []
    for word in words:
        kept.append(word)
        for length in range(1, _REPEATED + 1):
            if len(kept) <= length or kept[-1 - length] != word:
                continue
            last = kept[-length:]
            if last == kept[-2 * length : -length] and any("<" in word for word in last):
                del kept[-length:]
                break
    return " ".join(kept)
