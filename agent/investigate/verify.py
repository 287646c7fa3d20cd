"""Dropping what evidence does not carry: every name and number of a sentence must stand in what it cites.

Fails closed. A sentence is kept when each evidence id resolves, when every service, identifier and
number in it occurs in the cited evidence, when it diagnoses nothing that its evidence does not name, and
when it holds no link, no mention and no command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.analysis import Claim
from agent.investigate.gather import ranking_of
from agent.investigate.state import CLAIM_LENGTH, ModelReply, State, packed, unpacked
from detectors.anomaly import Evidence

_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?![\w]*\d)")
_IDENTIFIER = re.compile(r"\b(?:[A-Za-z]+[_./:\-])+[A-Za-z0-9_]+\b|\b[A-Za-z]*[a-z][A-Z][A-Za-z0-9]*\b")
_ALIAS = re.compile(r"\b[ES]\d{1,2}\b")
_FORBIDDEN = re.compile(r"https?:|www\.|://|[<>`$@{}\\]|\b(?:sudo|curl|wget|rm -)", re.IGNORECASE)
_DANGLING = re.compile(
    r"(?:\b(?:a|an|and|by|for|from|in|is|of|or|than|that|the|to|was|which|with)|[,:;(])[\s.]*$"
)
DIAGNOSES: tuple[tuple[str, ...], ...] = (
    ("timeout", "time-out", "timed out", "times out"),
    ("rate limit", "rate-limit"),
    ("retry", "retries"),
    ("abort",),
    ("backlog",),
    ("backpressure",),
    ("breach",),
    ("bug",),
    ("cache",),
    ("certificate",),
    ("config",),
    ("connection",),
    ("consumer",),
    ("corrupt",),
    ("cpu",),
    ("crash",),
    ("credential",),
    ("database",),
    ("deadlock",),
    ("deploy",),
    ("disk",),
    ("dns",),
    ("evict",),
    ("exception",),
    ("failover",),
    ("firewall",),
    ("garbage",),
    ("heap",),
    ("kernel",),
    ("latency",),
    ("leak",),
    ("lock",),
    ("malicious",),
    ("memory",),
    ("network",),
    ("node",),
    ("oom",),
    ("overload",),
    ("packet",),
    ("panic",),
    ("partition",),
    ("permission",),
    ("pool",),
    ("queue",),
    ("quota",),
    ("replica",),
    ("restart",),
    ("rollout",),
    ("saturat",),
    ("segfault",),
    ("starv",),
    ("swap",),
    ("thread",),
    ("throttl",),
    ("traffic",),
    ("version",),
)
"""Words that diagnose: a sentence may use one only where its evidence does, in some way of writing it."""
_WORDS = re.compile(r"[a-z0-9]+")
HEADLINE_WORDS = 6
_PLAIN_COMPOUNDS = frozenset(
    {"time-out", "time-outs", "run-time", "start-up", "long-running", "so-called", "root-cause", "and/or"}
)


@dataclass(frozen=True, slots=True)
class Verify:
    """Keep the claims and the headline that hold; say why each other one was dropped."""

    def __call__(self, state: State) -> State:
        if state.get("reply") is None:
            return State(claims=[], headline=None, dropped=[])
        reply = unpacked(state["reply"], ModelReply)
        ranking = ranking_of(state)
        evidence = {item.id: item for item in ranking.evidence}
        services = state["services"]
        kept: list[Claim] = []
        dropped: list[str] = []
        for text, cited in reply.claims:
            cut = len(text) >= CLAIM_LENGTH - 1 and text[-1] not in ".!?"
            problem = "breaks off" if cut else fault_of(text, cited, evidence, services)
            if problem is None:
                kept.append(Claim(text=text, evidence_ids=cited))
            else:
                dropped.append(f"claim: {problem}")
        everything = tuple({i: None for claim in kept for i in claim.evidence_ids})
        headline: str | None = reply.headline
        ended = reply.headline.rstrip(". ") + "."
        problem = fault_of(ended, everything, evidence, services) if kept else "no claim held"
        problem = problem or _too_vague(reply.headline, ranking.suspects[0].service)
        if problem is not None:
            headline = None
            dropped.append(f"headline: {problem}")
        return State(claims=packed(kept), headline=headline, dropped=dropped)


def _too_vague(headline: str, leader: str) -> str | None:
    """Return why our own headline tells more."""
    if leader not in headline:
        return "does not name the leading suspect"
    return "says too little" if len(headline.split()) < HEADLINE_WORDS else None


def fault_of(
    text: str, cited: Iterable[str], evidence: Mapping[str, Evidence], services: Iterable[str]
) -> str | None:
    """Return why `text` is not carried by the evidence it cites, None where it is."""
    items = [evidence[i] for i in cited if i in evidence]
    if not items or len(items) != len(tuple(cited)):
        return "cites evidence that does not resolve"
    if _DANGLING.search(text):
        return "breaks off"
    if _FORBIDDEN.search(text):
        return "holds a link, a mention or a command"
    carried = " ".join(_words_of(item) for item in items)
    plain = _ALIAS.sub("", text)
    return _foreign_name(plain, carried.lower(), services) or _foreign_number(plain, carried)


def _foreign_name(text: str, carried: str, services: Iterable[str]) -> str | None:
    """Return which service, identifier or diagnosis of `text` the lower-cased evidence does not hold."""
    for service in services:
        if re.search(rf"(?<![\w-]){re.escape(service)}(?![\w-])", text) and service.lower() not in carried:
            return f"names {service}, which its evidence does not"
    for name in _IDENTIFIER.findall(text):
        lowered = name.lower()
        if lowered not in carried and lowered not in _PLAIN_COMPOUNDS and not _spoken(name, carried):
            return "names something its evidence does not"
    said = text.lower()
    for ways in DIAGNOSES:
        if any(way in said for way in ways) and not any(way in carried for way in ways):
            return f"speaks of “{ways[0]}”, which its evidence does not"
    return None


def _foreign_number(text: str, carried: str) -> str | None:
    """Return which number of `text` the evidence does not hold."""
    numbers = [float(found.replace(",", "")) for found in _NUMBER.findall(carried) if _is_number(found)]
    for found in _NUMBER.findall(text):
        if not _is_number(found) or not any(_same(found, number) for number in numbers):
            return f"holds the number {found}, which its evidence does not"
    return None


def _words_of(item: Evidence) -> str:
    lines = " ".join(line.text for line in item.lines)
    return f"{item.service} {item.instance or ''} {item.label} {item.statement} {lines}"


def _spoken(name: str, carried: str) -> bool:
    """Whether a compound is ordinary words joined ("connection-pool") that the evidence holds one by one."""
    words = _WORDS.findall(name.lower())
    return bool(words) and all(word.isalpha() and re.search(rf"\b{word}", carried) for word in words)


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _same(said: str, number: float) -> bool:
    """Whether `said` is `number`, rounded no more than its own digits show."""
    value = float(said.replace(",", ""))
    digits = len(said.split(".")[1]) if "." in said else 0
    return abs(value - number) <= 0.5 * 10**-digits + 1e-9 if digits or abs(number) >= 10 else value == number
