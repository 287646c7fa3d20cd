"""The investigation graph over the small shop, with a scripted model: for tests that need one that runs."""

from __future__ import annotations

import json
import time
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from agent.analysis import Analysis, Citation, Mechanism, Risk, Stage
from agent.investigate import Budget, Gather, Hypothesise, Investigation, Nodes, Retrieve, Write
from agent.investigate.remediate import Offer
from agent.investigate.state import OfferedStep
from detectors.anomaly import Anomaly
from models.prompts import find_prompt, load_prompts
from models.scripted import ScriptedChat
from tests.support.shop import Memory


class NoAnomalies:
    def anomalies(self, incident_id: str) -> tuple[Anomaly, ...]:
        return ()


class Steps:
    def steps(self, query: str, mechanism: Mechanism, limit: int) -> Offer:
        citation = Citation(runbook="cpu-saturation", section="Diagnosis", title="CPU")
        return Offer(
            steps=(
                OfferedStep(
                    alias="S1",
                    step="Restart it.",
                    risk=Risk.DISRUPTIVE,
                    command=None,
                    citation=citation,
                    score=1,
                ),
                OfferedStep(
                    alias="S2",
                    step="Look at the pods.",
                    risk=Risk.READ_ONLY,
                    command="kubectl top pod -l app=$SERVICE",
                    citation=citation,
                    score=1,
                ),
            )
        )


def words(text: str) -> int:
    return len(text.split())


def investigation(
    model: ScriptedChat | None,
    said: list[Analysis],
    saver: BaseCheckpointSaver[Any] | None = None,
    reader: Memory | None = None,
) -> Investigation:
    def write(stage: Stage) -> Write:
        return Write(stage=stage, context=NoAnomalies(), publish=said.append, clock=time.time)

    hypothesise = None
    if model is not None:
        prompt = find_prompt("explain@1", load_prompts())
        hypothesise = Hypothesise(model=model, prompt=prompt, budget=Budget(), count=words)
    nodes = Nodes(
        gather=Gather(reader or Memory()),
        retrieve=Retrieve(Steps()),
        state_facts=write(Stage.STATISTICS),
        hypothesise=hypothesise,
        write=write(Stage.EXPLAINED),
    )
    return Investigation(nodes, clock=time.time, checkpointer=saver)


def answer(**fields: object) -> str:
    known: dict[str, object] = {
        "suspect": "payments",
        "headline": "payments: cpu_usage rose during the incident to 96.96 %",
        "claims": [{"text": "The CPU of payments rose.", "evidence": ["E1"]}],
        "steps": ["S2"],
    }
    return json.dumps({**known, **fields})
