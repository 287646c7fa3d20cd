"""From mechanism to runbook steps: retrieve what fits, then settle which steps the analysis offers.

Steps are the runbooks' own; a model may choose among them and never words one. Read-only steps come
first. `$SERVICE` in a command is filled in only with a plain name, so that telemetry cannot write shell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from agent.analysis import Mechanism, RemediationStep, Risk, Suspect
from agent.investigate.gather import ranking_of
from agent.investigate.packing import MECHANISM_WORDS, quoted
from agent.investigate.state import ModelReply, OfferedStep, State, packed, unpacked

MAX_OFFERED = 8
MAX_STEPS = 4
_PLAIN_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
_RISK_ORDER = {Risk.READ_ONLY: 0, Risk.REVERSIBLE: 1, Risk.DISRUPTIVE: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a search for steps gave, and why it may be poorer than usual."""

    steps: tuple[OfferedStep, ...]
    degraded: tuple[str, ...] = ()


class StepSearch(Protocol):
    """Finds runbook steps; `agent.app` adapts the index to it."""

    def steps(self, query: str, mechanism: Mechanism, limit: int) -> Offer:
        """Return steps of the runbooks that fit best, with aliases `S1` …."""
        ...


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Search the runbooks for the leading suspect's mechanism and symptoms."""

    search: StepSearch | None
    missing: str = "runbooks: no index is configured"
    """Why there is no search, where there is none."""

    def __call__(self, state: State) -> State:
        degraded = list(state.get("degraded", []))
        ranking = ranking_of(state)
        if not ranking.suspects:
            return State(offered=[], degraded=degraded)
        if self.search is None:
            return State(offered=[], degraded=[*degraded, self.missing])
        first = ranking.suspects[0]
        offer = self.search.steps(query_for(first, state), first.mechanism, MAX_OFFERED)
        return State(offered=packed(offer.steps), degraded=[*degraded, *offer.degraded])


def query_for(suspect: Suspect, state: State) -> str:
    """Return the search text: the mechanism in words, then what its strongest evidence says."""
    evidence = {item.id: item for item in ranking_of(state).evidence}
    parts = sorted(suspect.parts, key=lambda part: -part.value)[:3]
    said = [evidence[i] for part in parts for i in part.evidence_ids[:2] if i in evidence]
    texts = [MECHANISM_WORDS[suspect.mechanism], suspect.service]
    texts += [quoted(f"{item.label} {item.lines[0].text if item.lines else ''}", 160) for item in said]
    return " ".join(texts)


@dataclass(frozen=True, slots=True)
class Remediate:
    """Settle the steps: the model's choice where it made one, else the best of the best runbook."""

    def __call__(self, state: State) -> State:
        ranking = ranking_of(state)
        offered = tuple(unpacked(step, OfferedStep) for step in state["offered"])
        if not ranking.suspects or not offered:
            return State(steps=[])
        chosen = chosen_steps(state, offered)
        first = ranking.suspects[0]
        return State(steps=packed([remediation(step, first) for step in chosen]))


def chosen_steps(state: State, offered: tuple[OfferedStep, ...]) -> tuple[OfferedStep, ...]:
    """Return the steps to show, read-only first: a look before a change, whoever chose."""
    reply = state.get("reply")
    aliases = unpacked(reply, ModelReply).steps if reply is not None else ()
    picked = [step for step in offered if step.alias in aliases]
    rest = [step for step in offered if step not in picked]
    chosen = (picked + rest)[:MAX_STEPS]
    if all(step.risk is not Risk.READ_ONLY for step in chosen):
        looks = [step for step in rest if step.risk is Risk.READ_ONLY]
        chosen = looks[:1] + chosen[: MAX_STEPS - len(looks[:1])]
    return tuple(sorted(chosen, key=lambda step: _RISK_ORDER[step.risk]))


def remediation(step: OfferedStep, suspect: Suspect) -> RemediationStep:
    """Return the step as the analysis shows it, with the suspect's name in its command."""
    command = step.command
    if command is not None and _PLAIN_NAME.fullmatch(suspect.service):
        command = command.replace("$SERVICE", suspect.service)
    return RemediationStep(
        step=step.step,
        why=f"{quoted(suspect.service, 80)}: {MECHANISM_WORDS[suspect.mechanism]}",
        risk=step.risk,
        command=command,
        citation=step.citation,
    )
