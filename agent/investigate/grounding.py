"""Whether a sentence says no more than its evidence: names, words, numbers with units, direction.

Pure and strict: what is not in the evidence must be on a short list of words that claim nothing. It cannot
tell a true sentence from a false one made of the same words; it keeps new names, numbers, diagnoses,
negations and commands out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from detectors.anomaly import Evidence

_ALIAS = re.compile(r"\b[ES]\d{1,2}\b")
_FORBIDDEN = re.compile(
    r"https?:|www\.|://|[<>`$@{}\\]|\b(?:sudo|curl|wget|kubectl|systemctl|docker|rm|kill|reboot)\b",
    re.IGNORECASE,
)
_DANGLING = re.compile(
    r"(?:\b(?:a|an|and|by|for|from|in|is|of|or|than|that|the|to|was|which|with)|[,:;(])[\s.]*$"
)
_IDENTIFIER = re.compile(r"\b(?:[A-Za-z]+[_./:\-])+[A-Za-z0-9_]+\b|\b[A-Za-z]*[a-z][A-Z][A-Za-z0-9]*\b")
_NUMBER = re.compile(r"(?<![\w.])([-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?)\s?(%|[A-Za-z]+)?")
_WORD = re.compile(r"[a-z]+")
_RISING = re.compile(
    r"\b(?:rose|rise|rises|rising|risen|increas\w+|grew|grow\w*|went up|higher|slower|longer)\b"
)
_FALLING = re.compile(
    r"\b(?:fell|fall|falls|falling|fallen|decreas\w+|declin\w+|shrank|went down|lower|faster)\b"
)
_NEGATIONS = frozenset({"no", "not", "never", "none", "without", "neither", "nor", "cannot", "nothing"})
_UNITS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "ms": "ms", "msec": "ms", "millisecond": "ms", "milliseconds": "ms",
    "us": "us", "microseconds": "us", "ns": "ns", "nanoseconds": "ns",
    "m": "m", "min": "min", "mins": "min", "minute": "min", "minutes": "min",
    "h": "h", "hour": "h", "hours": "h",
    "%": "%", "percent": "%", "percentage": "%",
    "b": "B", "byte": "B", "bytes": "B", "kb": "kB", "kib": "KiB",
    "mb": "MB", "mi": "Mi", "mib": "MiB", "gb": "GB", "gib": "GiB",
}  # fmt: skip
_JOINS = frozenset(
    {"to", "and", "in", "of", "from", "for", "on", "at", "by", "with", "is", "was", "which", "during"}
)
_PLAIN_WORDS = """
the and for from with that this its was were has have had been being are into than more most about after
before during while when which where their there these those each both all only over under between
within one two three several many some other another same similar also again still now then once very
much too out off up time times rose rise rises rising risen increase increases increased increasing grew
grow grows grown growing fell fall falls falling fallen decrease decreases decreased decreasing went
going value values significant significantly sharp sharply sudden suddenly strong strongly show shows
showed shown indicate indicates indicated indicating suggest suggests suggested evidence incident onset
slow slows slowed slower long longer high higher low lower large larger took take takes taken experience
experiences experienced observed observe seen expected expect usual usually normal normally unusual
unusually write writes wrote written new kind kinds line lines log logs logged request requests call
calls called response responses respond responds responded operation operations span spans metric
metrics measurement measurements measured second seconds millisecond milliseconds percent average median
duration rate level number count first started starts began begin begins since likely possibly probably
may might could endpoint service services affected because report reports reported per total own spent
spend spends waiting waited wait
"""
PLAIN = frozenset(_PLAIN_WORDS.split())
"""Words that claim nothing by themselves. Everything else must stand in the evidence."""


def fault_of_sentence(text: str, items: Sequence[Evidence], services: Iterable[str]) -> str | None:
    """Return why `text` says more than `items`, None where it does not."""
    if _DANGLING.search(text):
        return "breaks off"
    if _FORBIDDEN.search(text):
        return "holds a link, a mention or a command"
    carried = " ".join(_words_of(item) for item in items)
    plain = _ALIAS.sub("", text)
    return (
        _foreign_name(plain, carried.lower(), services)
        or _foreign_number(plain, carried)
        or _foreign_word(plain, carried.lower())
        or _wrong_way(plain.lower(), items)
    )


def _words_of(item: Evidence) -> str:
    lines = " ".join(line.text for line in item.lines)
    return f"{item.service} {item.instance or ''} {item.label} {item.statement} {lines}"


def _foreign_name(text: str, carried: str, services: Iterable[str]) -> str | None:
    for service in services:
        named = re.search(rf"(?<![\w-]){re.escape(service)}(?![\w-])", text, re.IGNORECASE)
        if named and not re.search(rf"(?<![\w-]){re.escape(service.lower())}(?![\w-])", carried):
            return f"names {service}, which its evidence does not"
    for name in _IDENTIFIER.findall(text):
        if name.lower() not in carried and not all(_stands(w, carried) for w in _WORD.findall(name.lower())):
            return "names something its evidence does not"
    return None


def _foreign_word(text: str, carried: str) -> str | None:
    known = set(_WORD.findall(carried))
    for word in _WORD.findall(text.lower()):
        if word in _NEGATIONS and word not in known:
            return f"says “{word}”, which its evidence does not"
        if len(word) > 2 and word not in PLAIN and not _stands(word, carried):
            return f"speaks of “{word}”, which its evidence does not"
    return None


def _stands(word: str, carried: str) -> bool:
    """Whether the evidence has the word, perhaps with another ending."""
    if word in PLAIN:
        return True
    stem = word[: max(4, len(word) - 3)]
    return re.search(rf"(?<![a-z]){re.escape(stem)}", carried) is not None


def _foreign_number(text: str, carried: str) -> str | None:
    known = [(value, unit) for value, unit, _ in _numbers(carried)]
    for value, unit, said in _numbers(text):
        same = [known_unit for number, known_unit in known if _same(said, number)]
        if not same:
            return f"holds the number {said}, which its evidence does not"
        if unit is not None and unit not in same:
            return f"gives {said} another unit than its evidence"
        del value
    return None


def _numbers(text: str) -> list[tuple[float, str | None, str]]:
    """Return (value, unit, as written); the unit is '' for a bare count, None where the sentence goes on."""
    found = []
    for written, after in _NUMBER.findall(text):
        try:
            value = float(written.replace(",", ""))
        except ValueError:
            continue
        word = after.lower()
        unit = None if word in _JOINS or not word else _UNITS.get(word, "")
        found.append((value, unit, written))
    return found


def _same(said: str, number: float) -> bool:
    """Whether `said` is `number`, rounded no more than its own digits show."""
    value = float(said.replace(",", ""))
    digits = len(said.split(".")[1]) if "." in said and "e" not in said.lower() else 0
    return abs(value - number) <= 0.5 * 10**-digits + 1e-9 if digits or abs(number) >= 10 else value == number


def _wrong_way(text: str, items: Sequence[Evidence]) -> str | None:
    """Refuse a sentence that says rose where everything it cites fell, or the other way round."""
    moves = [
        item.observed - item.expected
        for item in items
        if item.expected is not None and item.observed is not None
    ]
    if not moves:
        return None
    if _RISING.search(text) and all(move < 0 for move in moves):
        return "says rose where its evidence fell"
    if _FALLING.search(text) and all(move > 0 for move in moves):
        return "says fell where its evidence rose"
    return None
