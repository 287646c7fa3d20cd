"""Before masking: what varies in a line by its characters alone is folded: numbers, opaque ids, paths.

Lines of one statement that differ only in these have one shape. Masks are a function of the shape,
so whoever knows a shape's template needs neither masks nor tree again. There are two ways to a shape that say
the same: the reference here, and a compiled one where the package was built with a C compiler.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

NUMBER, ID, PATH, NAME = "0", "<id>", "<path>", "<name>"
LONG_NUMBER = 16
"""Digits from which on a number is an id: times in nanoseconds, block and span ids."""
LONG_HEX = 6
"""Hexadecimal digits, of which one at least is a figure, from which on a word is an id."""
ID_SWITCHES = 3
"""Changes between letters and figures from which on a word is an id."""
LONG_LINE = 6
"""Digits that a line's number in its source file has at most."""
SOURCES = ("c", "cc", "cpp", "cs", "go", "groovy", "java", "js", "kt", "php", "py", "rb", "rs", "scala", "ts")
"""Endings of source files: `Cart.java:12` names a statement, so its number stays."""

LONG_NAME = 80
"""Characters of a thread's or worker's name in brackets, before its number, at most."""

_VARYING = re.compile(
    r"(?P<path>(?<![\w.>:~/])(?:/[A-Za-z0-9_.+@%~$*:#-]+){2,}/?)"
    rf"|(?P<name>(?<=\[)[A-Za-z][A-Za-z0-9_.-]{{0,{LONG_NAME}}}-[0-9]+(?=\]))"
    r"|(?<![A-Za-z0-9])(?:(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?![A-Za-z0-9]))"
    r"|[A-Za-z]*[0-9][A-Za-z0-9]*)"
)
_HEX_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+\Z")
_HEX = re.compile(rf"[0-9a-fA-F]{{{LONG_HEX},}}\Z")
_DIGITS = re.compile(r"[0-9]+")
_SOURCE = re.compile(rf"\.(?:{'|'.join(SOURCES)}):\Z|[A-Za-z_$]#\Z")
_SOURCE_LOOK = 8
_FOLDED = {"uuid": ID, "path": PATH, "name": NAME}

Shape = Callable[[str], str]


def reference_shape(text: str) -> str:
    """Return `text` with `0` for numbers, `<id>`, `<path>` and `<name>`; linear in its length."""
    return _VARYING.sub(_folded, text)


def _folded(match: re.Match[str]) -> str:
    word = match.group()
    if match.lastgroup:
        return _FOLDED[match.lastgroup]
    if word.isdigit():
        start, end = match.span()
        if len(word) <= LONG_LINE and start and match.string[start - 1] in ":#":
            line = match.string
            ends = end == len(line) or not (line[end] == "." or line[end] == "_" or line[end].isalnum())
            if ends and _SOURCE.search(line, max(0, start - _SOURCE_LOOK), start):
                return word
        return ID if len(word) >= LONG_NUMBER else NUMBER
    if _HEX_NUMBER.match(word) or _HEX.match(word) or _switches(word) >= ID_SWITCHES:
        return ID
    return _DIGITS.sub(NUMBER, word)


def _switches(word: str) -> int:
    figures = [character.isdigit() for character in word]
    return sum(a != b for a, b in pairwise(figures))


def compiled_shape() -> Shape | None:
    """Return the compiled way to a shape, None where it was not built."""
    try:
        from ingest._shapes import shape
    except ImportError:
        return None
    return shape


def compiled_body_shape() -> Shape | None:
    """Return the compiled way from a body to the shape of its subject, None where it was not built."""
    try:
        from ingest._shapes import body_shape
    except ImportError:
        return None
    return body_shape
