"""What stands in a line where its template has placeholders, as typed values; part of `ingest.templates`.

For the few lines that are shown as evidence, never on the hot path: the line is masked once more and what was
masked is found again between the words that stay. Pure, linear, and never a guess past a word that is not
found: what follows it is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ingest.masking import mask, subject
from ingest.templates.values import NUMBERS, ParameterKind, kind_and_value

MAX_PARAMETERS = 64
ANY = "<*>"

_PLACEHOLDER = re.compile(r"(<[a-z]{1,20}>|<\*>|<(?:secret|pii):\w{1,40}>)")
_KEY = re.compile(r"([A-Za-z_][\w.-]{0,60})[\"'\\]{0,2}\s?[=:]\s?[\"'\\]{0,2}\Z")
_CLOCK = r"\d{1,2}:\d{2}:\d{2}(?:[.,:]\d{1,9})?(?:\s?(?:Z|UTC|GMT|[AP]M)\b|\s?[+-]\d{2}(?::?\d{2})?\b)?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_NUMBER = r"[-+]?\d{1,30}(?:[.,]\d{1,30}){0,4}(?:[eE][-+]?\d{1,3})?"
_FORMS = {
    "time": (
        rf"\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}(?:(?:T|[ ,]{{1,2}}|:){_CLOCK}|T\d{{1,6}})?"
        rf"|\d{{1,2}}[-/. ]{_MONTH}[-/. ,]{{1,2}}\d{{2,4}}(?:[: ]{_CLOCK})?"
        rf"|(?:[A-Z][a-z]{{2,8}},? )?{_MONTH} {{1,2}}\d{{1,2}},? {_CLOCK}(?: (?:[A-Z]{{3,4}} )?\d{{4}}\b)?"
        rf"|{_CLOCK}"
    ),
    "duration": rf"{_NUMBER}\s?[A-Za-zµ]{{1,12}}",
    "size": rf"{_NUMBER}\s?[A-Za-z]{{1,5}}",
    "num": rf"{_NUMBER}%?",
    "ip": r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?|[0-9a-fA-F:]{2,60}",
    "bool": r"[A-Za-z]{4,5}",
    "id": r"-?[0-9A-Za-z]{1,300}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|-?[0-9A-Za-z]{1,4000}",
    "email": r"[\w.+-]{1,64}@[\w.-]{1,300}",
    "name": r"[\w$.@:-]{1,300}",
    "path": r"[\w.+@%~$*:#/\\<>-]{1,4000}",
    "url": r"[^\s\"'<>,;)\]}]{1,4000}",
    "str": r"(?:[^\"\\\n]|\\.){1,200}",
    "val": r"\[[^\[\]]{0,500}\]|[^\s,;()\[\]{}\"'<]{1,4000}",
}
_MATCHES = {kind: re.compile(form) for kind, form in _FORMS.items()}
_SINGLE = re.compile(r"[^'\n]{1,200}")
_WORD = re.compile(r"\S{1,4096}")
_GAP = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One value of a line. `value` is seconds, bytes or a number where the kind is one, else the text."""

    kind: ParameterKind
    value: float | str
    text: str
    """As it stands in the line."""
    name: str = ""
    """The key before it, as in `took=12ms`."""

    @property
    def is_number(self) -> bool:
        """Whether the value is a float: something that can grow."""
        return self.kind in NUMBERS


def parameters(template: str, body: str) -> tuple[Parameter, ...]:
    """Return what `body` holds where its `template` has placeholders, in order, at most `MAX_PARAMETERS`.

    Of a body of several lines only what its template is made of counts, of a list's like members the first.
    """
    line = subject(body)
    return tuple(_Walk(line).along(_pieces(template, mask(line))))


def _pieces(template: str, masked: str) -> list[str]:
    """Return words that stay, gaps (a blank) and placeholders; a word that the template has not is one."""
    words, own = template.split(), masked.split()
    known = words if len(words) == len(own) else own
    pieces: list[str] = []
    for word, now in zip(own, known, strict=True):
        whole = [ANY] if word != now and not _PLACEHOLDER.search(word) else _PLACEHOLDER.split(word)
        pieces += [" ", *filter(None, whole)]
    return pieces[1:]


class _Walk:
    """Finds one piece after the other; `at` is the end of what has been found."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._at = 0
        self._before = ""
        self._hole = ""
        """The placeholder whose end is not known yet."""
        self._found: list[Parameter] = []

    def along(self, pieces: list[str]) -> list[Parameter]:
        for piece in pieces:
            if len(self._found) >= MAX_PARAMETERS:
                break
            # A line that spells a placeholder itself keeps it as a word.
            if _PLACEHOLDER.match(piece) and not self._line.startswith(piece, self._at):
                self._close(self._form_end())
                self._hole = piece
            elif not self._pass(piece):
                return self._found
        if self._hole:
            end = self._form_end()
            self._close(end if end > self._at else len(self._line))
        return self._found

    def _pass(self, piece: str) -> bool:
        """Go beyond a word that stays, or a gap; False where it does not follow."""
        end = self._form_end() if self._hole else self._at
        start, stop = self._place(piece, end)
        if start != end:
            start, stop = self._sought(piece, self._at)
        if start < 0:
            return False
        self._close(start)
        self._at = stop
        self._before = (self._before + piece)[-80:]
        return True

    def _place(self, piece: str, at: int) -> tuple[int, int]:
        if piece != " ":
            return (at, at + len(piece)) if self._line.startswith(piece, at) else (-1, -1)
        gap = _GAP.match(self._line, at)
        # Masking parts the columns of a row that has no blanks.
        return (-1, -1) if gap is None and self._line[at - 1 : at] not in {",", ";", "|"} else (
            at, at if gap is None else gap.end()
        )  # fmt: skip

    def _sought(self, piece: str, at: int) -> tuple[int, int]:
        if piece != " ":
            start = self._line.find(piece, at)
            return start, start + len(piece)
        gap = _GAP.search(self._line, at)
        return (-1, -1) if gap is None else gap.span()

    def _form_end(self) -> int:
        """Return where the open placeholder's value ends by its form, else where it begins."""
        if not self._hole:
            return self._at
        kind = self._hole[1:-1].partition(":")[0]
        if kind in {"secret", "pii"}:
            return self._line.find(">", self._at) + 1 or self._at
        form = _MATCHES.get(kind, _WORD)
        if kind == "str" and self._before.endswith("'"):
            form = _SINGLE
        match = form.match(self._line, self._at)
        return self._at if match is None else match.end()

    def _close(self, end: int) -> None:
        if not self._hole:
            return
        text = self._line[self._at : end].strip()
        key = _KEY.search(self._before)
        name = key[1] if key else ""
        if text:
            kind, value = kind_and_value(self._hole[1:-1].partition(":")[0], text, name)
            self._found.append(Parameter(kind=kind, value=value, text=text, name=name))
        self._before += self._hole
        self._hole = ""
        self._at = end
