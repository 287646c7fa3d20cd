"""What a line of a stack trace looks like, in Java, .NET, Python, Node, Go, Ruby, PHP and Rust. Pure.

Used by `ingest.traces`, which joins lines that came one by one, by masking, which tells traces apart by the
errors they name, and where a trace is cut to what evidence may hold. Patterns are anchored and bounded, so
that a hostile line costs linear time.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from itertools import groupby

CONTINUES = (" ", "\t", "Caused by: ", "... ", "at ", "#")
"""What a line begins with that may go on with a trace; every trace of several lines has such a one."""
MAX_TYPES = 6
"""Errors of one trace that its template names."""

_TYPE = r"(?:[\w$]{1,80}\.){0,12}[\w$]{0,80}"
_FAILURE = r"(?:Exception|Error|Fault|Panic|Throwable)"
_CAUSE = r"(?:Caused by|Suppressed|Wrapped by|Inner exception)"
_FRAME = re.compile(
    r"\s+at\s+\S[^(:\n]{0,200}[(:]|at [\w.$<>/@~-]{3,200}\("
    r"|\s*\.\.\. \d{1,6} (?:more|common|similar|lines)\b|\s+\[(?:CIRCULAR|Previous line)\b"
    r"|\s+(?:\| {0,8})?File \"[^\"\n]{1,500}\", line \d"
    r"|\t\S{1,500}:\d{1,7}(?:\s+\+0x[0-9a-f]+)?\s*\Z"
    r"|\s+from \S{1,500}:\d{1,7}:in |#\d{1,4} (?:/|\{main\}|\[internal function\]|[A-Z]:\\|0x)"
    r"|\s{2,}\d{1,4}: +\S{1,300}\Z"
)
_CHAINED = re.compile(
    rf"\s{{0,16}}(?:{_CAUSE}:? |---> |--- End of )|During handling of the above|The above exception was"
)
_HEADING = re.compile(r"\s{0,16}(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\):")
_BARE = re.compile(rf"(?:Exception in thread |Unhandled exception\b)|{_TYPE}{_FAILURE}\b(?:\Z|[:\s\[])")
_GOROUTINE = re.compile(r"goroutine \d{1,12} (?:\S{1,40} )*\[[^\]\n]{1,100}\]:")
_GO_CALL = re.compile(
    r"(?:created by )?[\w./*()\[\]{}·%@~$,-]{1,300}(?:\(.{0,300}\)|\.\S{1,200}| in goroutine \d+)\s*\Z"
)
_GO_ODD = re.compile(
    r"\[signal |exit status \d|\.\.\.additional frames elided\.\.\.|goroutine running on other"
)
_FINAL = re.compile(r"(?:[^\W\d]\w{0,80}\.){0,12}[^\W\d]\w{0,80}(?::\s|:?\s*\Z)")
_TELLS = re.compile(
    rf"{_FAILURE}|Traceback|[Ee]rror|[Ee]xception|ERROR|[Pp]anic|FATAL|[Ff]atal|[Ff]ailed|SEVERE"
)
_NAMED = re.compile(
    rf"^(?:[ \t]{{0,16}}(?:{_CAUSE}:? |---> )({_TYPE})"
    rf"|(?:Exception in thread \S{{1,100}} )?({_TYPE}{_FAILURE})\b)",
    re.MULTILINE,
)
_PYTHON = re.compile(r"\n[ \t][^\n]*\n((?:[^\W\d]\w{0,80}\.){0,12}[^\W\d]\w{0,80})(?=:\s|:?\s*(?:\n|\Z))")
_SUFFIX = re.compile(rf"{_FAILURE}\Z")
_KEPT_FRAMES = (12, 6, 3, 1, 0)
_LONGEST = 400


class Part(Enum):
    """What a line may be to a trace."""

    FRAME = auto()
    """Where in the code; follows what went wrong."""
    CHAINED = auto()
    """Another error of the same trace."""
    HEADING = auto()
    """Python's first line."""
    GOROUTINE = auto()
    BARE = auto()
    """Only an error's type and message: begins a trace, or follows the line that logged it."""
    INDENTED = auto()
    OTHER = auto()


def part_of(line: str) -> Part:
    """Return what the line looks like by itself."""
    if _CHAINED.match(line):
        return Part.CHAINED
    if _HEADING.match(line):
        return Part.HEADING
    if _FRAME.match(line):
        return Part.FRAME
    if line[:1].isspace() or not line:
        return Part.INDENTED
    if _GOROUTINE.match(line):
        return Part.GOROUTINE
    return Part.BARE if _BARE.match(line) else Part.OTHER


def is_go_line(line: str) -> bool:
    """Say whether a line inside a goroutine's trace is its own: a call, who made it, how it ended."""
    return bool(_GO_CALL.match(line) or _GO_ODD.match(line))


def is_final(line: str) -> bool:
    """Say whether a line can be the one that ends Python's traceback: the error and its message."""
    return bool(_FINAL.match(line))


def tells(line: str) -> bool:
    """Say whether a line speaks of something that went wrong."""
    return bool(_TELLS.search(line[:1024]))


def error_types(first: str, rest: str) -> tuple[str, ...]:
    """Return the errors that a trace below its `first` line names, outermost first, each once.

    Of too many the first and the last stay; the first line's own are left out.
    """
    found = [a or b for a, b in _NAMED.findall(rest)]
    if "Traceback (most recent" in rest or "Traceback (most recent" in first:
        found += _PYTHON.findall(f"\n{rest}")
    # What no suffix shows to be an error would be taken for a value when it is dotted.
    names = [name if _SUFFIX.search(name) else name.rpartition(".")[2] for name in found]
    types = [name for name in dict.fromkeys(names) if name and name not in first]
    half = MAX_TYPES // 2
    return tuple(types if len(types) <= MAX_TYPES else types[:half] + types[-half:])


def abridged(text: str, limit: int) -> str:
    """Return at most `limit` characters: of a trace that is longer, errors stay and deep frames go."""
    if len(text) <= limit or "\n" not in text:
        return text[:limit]
    lines = text.split("\n")
    runs = [(frames, list(run)) for frames, run in groupby(lines, lambda line: part_of(line) in _LEFT_OUT)]
    for most in _KEPT_FRAMES:
        kept: list[str] = []
        for frames, run in runs:
            if frames and len(run) > most:
                kept += [line[:_LONGEST] for line in run[:most]]
                kept.append(f"\t[{len(run) - most} lines]")
            else:
                kept += [line[:_LONGEST] for line in run]
        whole = "\n".join(kept)
        if len(whole) <= limit:
            return whole
    return text[:limit]


_LEFT_OUT = frozenset({Part.FRAME, Part.INDENTED})
