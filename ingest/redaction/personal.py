"""Rules for personal data: e-mail addresses and payment card numbers.

Pure and linear: a pattern only starts where the run before it ends, and is bounded from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.span import Span

_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}"
    r"@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}(?P<top>[A-Za-z]{2,24})(?![A-Za-z0-9-])"
)
_NOT_MAIL = frozenset({
    "service", "socket", "slice", "target", "timer", "mount", "scope", "device", "path",
    "png", "jpg", "jpeg", "svg", "gif", "webp", "js", "css", "jar", "so", "py",
})  # fmt: skip
"""Ends of systemd units and file names that carry an @."""
_URL_END = re.compile(r"[\s/?#=,\"'<>]")
_CARD_HINT = re.compile(r"[2-6]\d{3}[ -]?\d{4}|3[47]\d\d[ -]\d{6}")
_CARD = re.compile(
    r"(?<![A-Za-z0-9_.-])(?:"
    r"[2-6]\d{3}(?P<gap>[ -]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}"
    r"|3[47]\d\d(?P<amex>[ -])\d{6}(?P=amex)\d{5}"
    r"|[2-6]\d{12,18})(?![A-Za-z0-9_-]|\.\d)"
)
_BRANDS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"6011|65|64[4-9]"), (16, 19)),
    (re.compile(r"62"), (16, 17, 18, 19)),
    (re.compile(r"35(?:2[89]|[3-8])"), (16,)),
    (re.compile(r"30[0-5]|3[689]"), (14, 16)),
)


def find_personal(text: str) -> Iterator[Span]:
    """Yield every e-mail address and card number in `text`."""
    if "@" in text:
        for match in _EMAIL.finditer(text):
            if match["top"].lower() not in _NOT_MAIL and not _in_url(text, match.start()):
                yield Span(match.start(), match.end(), "email", personal=True, value=match[0].lower())
    if _CARD_HINT.search(text) is not None:
        yield from _cards(text)


def _in_url(text: str, start: int) -> bool:
    """Whether what stands before is `scheme://user:`, so that the @ belongs to a URL and its host stays."""
    before = text[max(0, start - 300) : start]
    scheme = before.rfind("://")
    return scheme >= 0 and not _URL_END.search(before, scheme + 3)


def _cards(text: str) -> Iterator[Span]:
    at = 0
    while (match := _CARD.search(text, at)) is not None:
        digits = match[0].replace(" ", "").replace("-", "")
        if _is_card(digits):
            yield Span(match.start(), match.end(), "card", rank=2, personal=True, value=digits)
            at = match.end()
        else:
            at = match.start() + 1  # a card may begin in a later group of this run


def _is_card(digits: str) -> bool:
    known = any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _BRANDS)
    return known and _luhn(digits)


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
