"""Rules for secrets that show by their own shape: cloud keys, provider tokens, JWTs, private keys.

Pure and linear: each pattern starts with a literal, cannot start inside a run it has just failed on, and
repeats no repetition. A literal check keeps ordinary lines from meeting any pattern at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingest.redaction.span import Span

_EDGE = r"(?<![A-Za-z0-9_-])"
_SHAPES: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "aws_key",
        ("AKIA", "ASIA"),
        re.compile(r"(?:AKIA|ASIA)(?<![A-Za-z0-9]....)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ),
    ("gcp_key", ("AIza",), re.compile(r"AIza[0-9A-Za-z_-]{35}")),
    ("gcp_token", ("ya29.",), re.compile(r"ya29\.[0-9A-Za-z_-]{20,}+")),
    ("github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), re.compile(r"gh[pousr]_[A-Za-z0-9]{36,}+")),
    ("github_token", ("github_pat_",), re.compile(r"github_pat_[A-Za-z0-9_]{22,}+")),
    ("gitlab_token", ("glpat-",), re.compile(r"glpat-[A-Za-z0-9_-]{20,}+")),
    ("slack_token", ("xox",), re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,}+")),
    (
        "slack_hook",
        ("hooks.slack.com/",),
        re.compile(r"(?<=hooks\.slack\.com/)[a-z]{1,16}/[A-Za-z0-9/_-]{16,}+"),
    ),
    ("stripe_key", ("k_live_", "k_test_"), re.compile(r"[rs]k_(?:live|test)_[0-9A-Za-z]{10,}+")),
    ("api_key", ("sk-",), re.compile(_EDGE + r"sk-[A-Za-z0-9_-]{20,}+")),
    (
        "jwt",
        ("eyJ",),
        re.compile(r"eyJ(?<![A-Za-z0-9_-]...)[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]*)?"),
    ),
)
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_MARK = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_TEXT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \t\r\n\\")


def find_tokens(text: str) -> Iterator[Span]:
    """Yield every secret in `text` that its own shape gives away."""
    for kind, hints, pattern in _SHAPES:
        for hint in hints:
            if hint in text:
                yield from _shaped(text, kind, pattern)
                break
    if "-----" in text:
        yield from _private_keys(text)


def _shaped(text: str, kind: str, pattern: re.Pattern[str]) -> Iterator[Span]:
    for match in pattern.finditer(text):
        yield Span(match.start(), match.end(), kind, rank=3)
        if kind == "aws_key":
            yield from _aws_secrets(text, match.end())


def _aws_secrets(text: str, after: int) -> Iterator[Span]:
    """Find the secret that may follow a key id: 40 characters of mixed kind within the next 200."""
    for match in _AWS_SECRET.finditer(text, after, min(len(text), after + 200)):
        word = match[0]
        if word.lower() != word != word.upper():
            yield Span(match.start(), match.end(), "aws_secret", rank=3)


def _private_keys(text: str) -> Iterator[Span]:
    """Find keys, also those that lack their end (cut by a limit) or their beginning (another record)."""
    begun: int | None = None
    done = 0
    for mark in _MARK.finditer(text):
        if mark[1] == "BEGIN":
            begun = mark.start() if begun is None else begun
            continue
        start = _key_start(text, mark.start(), done) if begun is None else begun
        done, begun = mark.end(), None
        yield Span(start, done, "private_key", rank=4)
    if begun is not None:
        yield Span(begun, len(text), "private_key", rank=4)


def _key_start(text: str, end: int, floor: int) -> int:
    while end > floor and text[end - 1] in _KEY_TEXT:
        end -= 1
    return end
