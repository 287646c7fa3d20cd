"""Words of runbooks and queries for the sparse (BM25) half of the search. Pure and deterministic.

Identifiers are kept whole and also taken apart (`KubePodCrashLooping` gives the name, `kube`, `pod`, `crash`,
`loop`), so that a metric name in an alert meets prose in a runbook. Weights follow BM25 without its IDF,
which the index adds over the collection.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

K1 = 1.2
B = 0.75
AVERAGE_LENGTH = 120.0
"""Words a chunk is taken to have on average: fixed, so that adding a runbook leaves the others' weights."""
LONGEST_TEXT = 20_000
"""Characters beyond which a text is not read: a query may be a whole stack trace."""
_LONGEST_WORD = 64

_WORD = re.compile(r"[A-Za-z0-9]+(?:[._:/-][A-Za-z0-9]+|_+[A-Za-z0-9]+)*")
_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_STOP_WORDS = frozenset(
    """
    a about after again all also am an and any are as at be because been before being below between
    both but by can could did do does doing done down during each else ever few for from further get
    gets had has have having he her here hers him his how i if in into is it its itself just let may
    me might more most must my no nor not now of off on once one only or other our out over own per
    same she should so some such than that the their them then there these they this those through
    to too under until up upon us use used using very was we were what when where whether which
    while who whom why will with within without would you your
    """.split()  # noqa: SIM905 - one word a line would bury the rest
)
_ENDINGS = (
    ("ational", "ate"),
    ("ations", "ate"),
    ("ation", "ate"),
    ("nesses", ""),
    ("ness", ""),
    ("ments", ""),
    ("ment", ""),
    ("ings", ""),
    ("ing", ""),
    ("sses", "ss"),
    ("ies", "y"),
    ("ied", "y"),
    ("ers", "er"),
    ("ed", ""),
    ("ly", ""),
)
_SHORTEST_STEM = 3


def stem(word: str) -> str:
    """Return `word` without its commonest English endings; short words and numbers stay."""
    if len(word) <= _SHORTEST_STEM or not word.isalpha():
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            return _tidy(word[: -len(ending)] + instead)
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return _tidy(word[:-1])
    return _tidy(word)


def _tidy(word: str) -> str:
    """Even out what endings leave behind: `fill`/`filling`, `restore`/`restoring`, `scrape`/`scraping`."""
    if len(word) > _SHORTEST_STEM and word.endswith("e"):
        word = word[:-1]
    if len(word) > _SHORTEST_STEM and word[-1] == word[-2] and word[-1] not in "aeiou":
        word = word[:-1]
    return word


def tokens(text: str) -> list[str]:
    """Return the words of `text` in order: stems without stop words, and compound identifiers whole."""
    found: list[str] = []
    for match in _WORD.finditer(_PLACEHOLDER.sub(" ", text[:LONGEST_TEXT])):
        whole = match.group()
        if len(whole) > _LONGEST_WORD:
            whole = whole[:_LONGEST_WORD]
        parts = _PARTS.findall(whole)
        if len(parts) > 1:
            found.append(whole.lower())
        found.extend(
            stem(part) for part in map(str.lower, parts) if part not in _STOP_WORDS and len(part) > 1
        )
    return found


def term_id(term: str) -> int:
    """Return the sparse vector's index of `term`: 32 bits of a hash, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(term.encode(), digest_size=4).digest(), "big")


def document_weights(fields: Iterable[tuple[str, float]]) -> Mapping[int, float]:
    """Return BM25 term weights of a document made of (text, weight) fields, by term id."""
    counts: dict[str, float] = {}
    length = 0.0
    for text, weight in fields:
        words = tokens(text)
        length += len(words)
        for word in words:
            counts[word] = counts.get(word, 0.0) + weight
    norm = K1 * (1 - B + B * length / AVERAGE_LENGTH)
    weights: dict[int, float] = {}
    for word, count in counts.items():
        weights[term_id(word)] = weights.get(term_id(word), 0.0) + count * (K1 + 1) / (count + norm)
    return weights


def query_weights(text: str) -> Mapping[int, float]:
    """Return each different word of a query once, by term id; how rare it is, the index knows."""
    return {term_id(word): 1.0 for word in tokens(text)}
