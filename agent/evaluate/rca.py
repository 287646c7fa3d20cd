"""`faultline eval rca`: every labelled case through the service's own investigation, without a model.

The graph that runs here is the one that runs in production, up to the statistics stage. A case that gives
no ranking is a miss. Rivals rank the same windows and are scored by the same scorer.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from agent.analysis import Analysis, Mechanism, Stage
from agent.evaluate.cases import Case, load
from agent.evaluate.data import DataError, Truth, labels, systems
from agent.evaluate.figures import Figures, folded
from agent.evaluate.mechanisms import right_mechanism
from agent.evaluate.poorer import Poorer, poorer_sides
from agent.evaluate.rca_figures import figures_of
from agent.evaluate.rivals import RIVALS
from agent.investigate import Gather, Investigation, Nodes, Retrieve, Write
from agent.suspects import KINDS, Sides, findings_of, gather_findings, rank_suspects
from agent.suspects.calibration import features_of
from detectors.anomaly import Anomaly


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
    """Processor seconds of reading and analysing: what one idle core takes."""
    held_out: bool
    truth: str = ""
    fault: str = ""
    features: Mapping[str, float] = field(default_factory=dict)
    lacking: int = 0
    rivals: Mapping[str, int | None] = field(default_factory=dict)
    """Where each rival ranked the truth."""
    ablated: Mapping[str, int | None] = field(default_factory=dict)
    """Where the truth stands with one kind of evidence left out."""
    poorer: Sequence[Poorer] = ()
    """What became of it with one kind of telemetry hidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How cases are run: `without` names signals that are hidden from all."""

    ablate: bool = False
    without: frozenset[str] = frozenset()
    looked_at: bool = False
    """Leave cases alone that are held out of tuning."""


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


def predict(
    system: Path,
    options: Options = Options(),
    *,
    on_case: Callable[[str], None] = lambda _: None,
    on_analysis: Callable[[Case, Analysis, Prediction], None] = lambda *_: None,
) -> list[Prediction]:
    """Return the answers for all labelled cases of a system, in file order."""
    # What is imported lives as long as the process: collecting a case's garbage need not walk it.
    gc.collect()
    gc.freeze()
    try:
        return list(_predictions(system, options, on_case, on_analysis))
    finally:
        gc.unfreeze()


def _predictions(
    system: Path,
    options: Options,
    on_case: Callable[[str], None],
    on_analysis: Callable[[Case, Analysis, Prediction], None],
) -> Iterator[Prediction]:
    for truth in labels(system).truths:
        if truth.held_out and options.looked_at:
            continue
        started = time.process_time()
        case = load(system, truth, options.without)
        analysis = analyse(case)
        seconds = time.process_time() - started
        prediction = _judged(case, analysis, system.name, seconds, options)
        on_case(f"{system.name} {truth.id} place {prediction.place or '–'} {seconds:.1f} s")
        on_analysis(case, analysis, prediction)
        yield prediction


def _judged(case: Case, analysis: Analysis, system: str, seconds: float, options: Options) -> Prediction:
    truth, sides = case.truth, case.sides()
    found = {name: findings_of(name, sides) for name in KINDS}
    everything = tuple(finding for findings in found.values() for finding in findings)
    edges, missing = sides.edges(), sides.missing()
    ranked = rank_suspects(everything, edges=edges, missing=missing)

    def without(kind: str) -> list[str]:
        rest = tuple(finding for name in KINDS if name != kind for finding in found[name])
        return [suspect.service for suspect in rank_suspects(rest, edges=edges, missing=missing).suspects]

    mechanism = analysis.hypotheses[0].mechanism if analysis.hypotheses else Mechanism.UNKNOWN
    ranking = folded((suspect.service for suspect in ranked.suspects), truth.fold)
    return Prediction(
        id=truth.id,
        system=system,
        ranking=ranking,
        confidence=analysis.confidence,
        verdict=analysis.verdict.value,
        mechanism=mechanism.value,
        place=place_of(ranking, truth),
        mechanism_right=right_mechanism(mechanism, truth),
        seconds=seconds,
        held_out=truth.held_out,
        truth=truth.service,
        fault=truth.fault or truth.mechanism,
        features=features_of(ranked.suspects),
        lacking=len(missing),
        rivals={name: place_of(folded(rival(sides), truth.fold), truth) for name, rival in RIVALS.items()},
        ablated={kind: place_of(folded(without(kind), truth.fold), truth) for kind in KINDS}
        if options.ablate
        else {},
        poorer=tuple(_poorer(less, truth, system) for less in poorer_sides(sides)),
    )


def _poorer(sides: Sides, truth: Truth, system: str) -> Poorer:
    missing = sides.missing()
    ranked = rank_suspects(gather_findings(sides), edges=sides.edges(), missing=missing)
    ranking = folded((suspect.service for suspect in ranked.suspects), truth.fold)
    return Poorer(
        system=system,
        place=place_of(ranking, truth),
        features=features_of(ranked.suspects),
        lacking=len(missing),
    )


def place_of(ranking: Sequence[str], truth: Truth) -> int | None:
    """Return the 1-based place of the true service, None where it is not ranked."""
    return ranking.index(truth.service) + 1 if truth.service in ranking else None


def evaluate(
    data: Path,
    only: Sequence[str] = (),
    options: Options = Options(),
    *,
    predictions: Path | None = None,
    on_case: Callable[[str], None] = lambda _: None,
    on_analysis: Callable[[Case, Analysis, Prediction], None] = lambda *_: None,
) -> Figures:
    """Return the figures per system and the calibration over all; write predictions as JSON lines.

    Raises `DataError` where no case has a root cause.
    """
    everything = collect(data, only, options, on_case=on_case, on_analysis=on_analysis)
    if predictions is not None:
        _write(everything, predictions)
    return figures_of(everything)


def collect(
    data: Path,
    only: Sequence[str] = (),
    options: Options = Options(),
    *,
    on_case: Callable[[str], None] = lambda _: None,
    on_analysis: Callable[[Case, Analysis, Prediction], None] = lambda *_: None,
) -> list[Prediction]:
    """Return the answers for all cases; raises `DataError` where no case has a root cause."""
    everything: list[Prediction] = []
    for system in systems(data, only):
        everything += predict(system, options, on_case=on_case, on_analysis=on_analysis)
    if not everything:
        raise DataError(f"{data}: no case with a root cause; a ranking can only be judged against one")
    return everything


def _write(answers: Sequence[Prediction], path: Path) -> None:
    kept = ("id", "ranking", "confidence", "verdict", "mechanism")
    lines = [json.dumps({name: asdict(answer)[name] for name in kept}) + "\n" for answer in answers]
    path.write_text("".join(lines), encoding="utf-8")
