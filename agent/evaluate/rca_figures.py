"""The figures of `faultline eval rca`: per system, rival, fault class and evidence kind left out.

Group names hold a slash where they are a part of a system's, as no folder's can.
"""

from __future__ import annotations

import resource
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from agent.evaluate.calibrate import held_apart
from agent.evaluate.figures import (
    Figures,
    Group,
    accuracy,
    auroc,
    brier,
    expected_calibration_error,
    parts,
    share,
)

if TYPE_CHECKING:
    from agent.evaluate.rca import Prediction


def figures_of(answers: Sequence[Prediction]) -> Figures:
    """Return all figures; those of the confidence as given, and by parameters of other systems."""
    figures: Figures = {}
    for system in dict.fromkeys(answer.system for answer in answers):
        own = [answer for answer in answers if answer.system == system]
        figures |= {group: _figures(members) for group, members in parts(system, own).items()}
        figures |= _others(system, own)
    right = [answer.place == 1 for answer in answers]
    figures["all"] = _sure([answer.confidence for answer in answers], right)
    apart = held_apart(answers)
    if apart:
        figures["all/other_systems"] = _sure([j.confidence for j in apart], [j.right for j in apart])
    return figures


def _sure(confidences: Sequence[float], right: Sequence[bool]) -> Group:
    return {
        "ece": expected_calibration_error(confidences, right),
        "brier": brier(confidences, right),
        "auroc": auroc(confidences, right),
    }


def _figures(answers: Sequence[Prediction]) -> Group:
    """`mb_peak` is the whole process's so far: a system alone (`--system`) shows its own."""
    return {
        **accuracy([answer.place for answer in answers]),
        "cases": len(answers),
        "mechanism": share(a.mechanism_right for a in answers if a.place == 1),
        "seconds_median": statistics.median(a.seconds for a in answers),
        "mb_peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _others(system: str, answers: Sequence[Prediction]) -> Figures:
    """Return the groups whose figures are accuracies only."""
    figures: Figures = {}
    for fault in sorted({answer.fault for answer in answers if answer.fault}):
        members = [answer for answer in answers if answer.fault == fault]
        figures[f"{system}/fault/{fault}"] = {
            **_placed([answer.place for answer in members]),
            "mechanism": share(a.mechanism_right for a in members if a.place == 1),
        }
    figures |= _by_name(f"{system}/rival", [answer.rivals for answer in answers])
    figures |= _by_name(f"{system}/without", [answer.ablated for answer in answers])
    return figures


def _by_name(prefix: str, places: Sequence[Mapping[str, int | None]]) -> Figures:
    names = dict.fromkeys(name for one in places for name in one)
    return {f"{prefix}/{name}": _placed([one.get(name) for one in places]) for name in names}


def _placed(places: Sequence[int | None]) -> Group:
    return {**accuracy(places), "cases": len(places)}
