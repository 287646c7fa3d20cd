"""`faultline eval rca`: every labelled case through the service's own investigation, without a model.

The graph that runs here is the one that runs in production, up to the statistics stage. A case that gives
no ranking is a miss.
"""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.analysis import Analysis, Mechanism, Stage
from agent.evaluate.cases import Case, load
from agent.evaluate.data import DataError, Truth, labels, systems
from agent.evaluate.figures import (
    Figures,
    Group,
    accuracy,
    auroc,
    brier,
    expected_calibration_error,
    folded,
    parts,
    share,
)
from agent.investigate import Gather, Investigation, Nodes, Retrieve, Write
from detectors.anomaly import Anomaly

MECHANISMS: dict[str, frozenset[Mechanism]] = {
    "cpu": frozenset({Mechanism.CPU}),
    "cpu_contention": frozenset({Mechanism.CPU}),
    "cpu_consumed": frozenset({Mechanism.CPU}),
    "mem": frozenset({Mechanism.MEMORY}),
    "memory": frozenset({Mechanism.MEMORY}),
    "disk": frozenset({Mechanism.DISK}),
    "network_delay": frozenset({Mechanism.NETWORK}),
    "network_loss": frozenset({Mechanism.NETWORK}),
    "delay": frozenset({Mechanism.NETWORK}),
    "loss": frozenset({Mechanism.NETWORK}),
    "exception": frozenset({Mechanism.EXCEPTION, Mechanism.CHANGE}),
    "return": frozenset({Mechanism.BAD_RETURN, Mechanism.CHANGE}),
}
"""Fault names of public data and which of our mechanisms say the same; ours stand for themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One case's answer."""

    id: str
    system: str
    ranking: list[str]
    confidence: float
    verdict: str
    mechanism: str
    place: int | None
    mechanism_right: bool
    seconds: float
    held_out: bool


class _NoAnomalies:
    """The evaluation's incidents have intervals, not anomalies."""

    def anomalies(self, incident_id: str) -> tuple[Anomaly, ...]:
        """Return none."""
        del incident_id
        return ()


def analyse(case: Case) -> Analysis:
    """Return the statistics-stage analysis of a case."""
    write = Write(stage=Stage.STATISTICS, context=_NoAnomalies(), publish=lambda _: None, clock=time.time)
    nodes = Nodes(
        gather=Gather(case, case.edges),
        retrieve=Retrieve(None),
        state_facts=write,
        hypothesise=None,
        write=write,
    )
    return Investigation(nodes, clock=time.time).run(case.request(), case.truth.id)


def predict(system: Path, *, on_case: Callable[[str], None] = lambda _: None) -> list[Prediction]:
    """Return the answers for all labelled cases of a system, in file order."""
    return [_predicted(system, truth, on_case) for truth in labels(system).truths]


def _predicted(system: Path, truth: Truth, on_case: Callable[[str], None]) -> Prediction:
    started = time.monotonic()
    analysis = analyse(load(system, truth))
    seconds = time.monotonic() - started
    ranking = folded((h.service for h in analysis.hypotheses), truth.fold)
    place = ranking.index(truth.service) + 1 if truth.service in ranking else None
    mechanism = analysis.hypotheses[0].mechanism if analysis.hypotheses else Mechanism.UNKNOWN
    on_case(f"{system.name} {truth.id} place {place or '–'} {seconds:.1f} s")
    return Prediction(
        id=truth.id,
        system=system.name,
        ranking=ranking,
        confidence=analysis.confidence,
        verdict=analysis.verdict.value,
        mechanism=mechanism.value,
        place=place,
        mechanism_right=right_mechanism(mechanism, truth),
        seconds=seconds,
        held_out=truth.held_out,
    )


def right_mechanism(mechanism: Mechanism, truth: Truth) -> bool:
    """Say whether `mechanism` is what the label names, in our words or in those of public data."""
    named = {truth.mechanism, truth.fault} | {one.value for one in MECHANISMS.get(truth.fault, ())}
    return mechanism.value in named


def evaluate(
    data: Path,
    only: Sequence[str] = (),
    *,
    predictions: Path | None = None,
    on_case: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Return the figures per system and the calibration over all; write predictions as JSON lines.

    Raises `DataError` where no case has a root cause.
    """
    figures: Figures = {}
    everything: list[Prediction] = []
    for system in systems(data, only):
        answers = predict(system, on_case=on_case)
        figures |= {group: _figures(members) for group, members in parts(system.name, answers).items()}
        everything += answers
    if not everything:
        raise DataError(f"{data}: no case with a root cause; a ranking can only be judged against one")
    confidences = [answer.confidence for answer in everything]
    right = [answer.place == 1 for answer in everything]
    figures["all"] = {
        "ece": expected_calibration_error(confidences, right),
        "brier": brier(confidences, right),
        "auroc": auroc(confidences, right),
    }
    if predictions is not None:
        _write(everything, predictions)
    return figures


def _figures(answers: Sequence[Prediction]) -> Group:
    """`mb_peak` is the whole process's so far: a system alone (`--system`) shows its own."""
    return {
        **accuracy([answer.place for answer in answers]),
        "cases": len(answers),
        "mechanism": share(a.mechanism_right for a in answers if a.place == 1),
        "seconds_median": statistics.median(a.seconds for a in answers),
        "mb_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _write(answers: Sequence[Prediction], path: Path) -> None:
    kept = ("id", "ranking", "confidence", "verdict", "mechanism")
    lines = [json.dumps({name: asdict(answer)[name] for name in kept}) + "\n" for answer in answers]
    path.write_text("".join(lines), encoding="utf-8")
