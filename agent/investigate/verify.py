"""Dropping what evidence does not carry. Fails closed: a sentence that cannot be checked is not shown.

A sentence is kept when each evidence id resolves, when its names, words, numbers and units stand in the
evidence it cites (`grounding`), and when the model did not speak of another suspect than the ranking's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.analysis import Claim
from agent.investigate.gather import ranking_of
from agent.investigate.grounding import fault_of_sentence
from agent.investigate.state import CLAIM_LENGTH, ModelReply, State, packed, unpacked
from detectors.anomaly import Evidence

HEADLINE_WORDS = 6


@dataclass(frozen=True, slots=True)
class Verify:
    """Keep the claims and the headline that hold; say why each other one was dropped."""

    def __call__(self, state: State) -> State:
        if state.get("reply") is None:
            return State(claims=[], headline=None, dropped=[])
        reply = unpacked(state["reply"], ModelReply)
        ranking = ranking_of(state)
        leader = ranking.suspects[0].service
        if reply.suspect != leader:
            return State(
                claims=[], headline=None, dropped=[f"all: the model speaks of {reply.suspect} first"]
            )
        evidence = {item.id: item for item in ranking.evidence}
        services = state["services"]
        kept: list[Claim] = []
        dropped: list[str] = []
        for text, cited in reply.claims:
            cut = len(text) >= CLAIM_LENGTH - 1 and text[-1] not in ".!?"
            problem = "breaks off" if cut else fault_of(text, cited, evidence, services)
            if problem is not None:
                dropped.append(f"claim: {problem}")
            elif Claim(text=text, evidence_ids=cited) not in kept:
                kept.append(Claim(text=text, evidence_ids=cited))
        everything = tuple(dict.fromkeys(i for claim in kept for i in claim.evidence_ids))
        problem = fault_of(reply.headline, everything, evidence, services) if kept else "no claim held"
        problem = problem or _too_vague(reply.headline, leader)
        if problem is not None:
            dropped.append(f"headline: {problem}")
        headline = reply.headline if problem is None else None
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
    ids = tuple(cited)
    items = [evidence[i] for i in ids if i in evidence]
    if not items or len(items) != len(ids):
        return "cites evidence that does not resolve"
    return fault_of_sentence(text, items, services)
