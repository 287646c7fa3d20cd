"""Log detectors with telemetry that is normal to them, strange to them, and far too much for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from detectors.new_template import NewTemplate
from detectors.sequences import Sequences
from detectors.severity import SeverityRise
from detectors.silence import Silence
from detectors.template_rate import TemplateRate
from ingest.summary import SequenceCount, TemplateCount, WindowSummary
from tests.support.scenario import Scenario, noise
from tests.support.windows import logs, template


def _ordinary(index: int) -> list[TemplateCount]:
    rng = noise(index)
    ordinary = [template("t_ok", rng.randint(40, 60), index), template("t_paid", rng.randint(5, 15), index)]
    if rng.random() < 0.3:
        ordinary.append(template("t_retry", rng.randint(1, 3), index, severity=17, text="retry <*>"))
    return ordinary


def _normal_logs(index: int) -> Sequence[WindowSummary]:
    return [logs(index, _ordinary(index))]


def _new_error(index: int, strength: int) -> Sequence[WindowSummary]:
    strange = template("t_new", 5**strength, index, severity=17, text="connection to <*> refused")
    return [logs(index, [*_ordinary(index), strange])]


def _burst(index: int, strength: int) -> Sequence[WindowSummary]:
    ordinary = [one for one in _ordinary(index) if one.template_id != "t_retry"]
    strange = template("t_retry", 200 * strength, index, severity=17, text="retry <*>")
    return [logs(index, [*ordinary, strange])]


def _normal_reports(index: int) -> Sequence[WindowSummary]:
    return [logs(index, _ordinary(index), service=name) for name in ("cart", "orders", "payments")]


def _missing(index: int, strength: int) -> Sequence[WindowSummary]:
    return [one for one in _normal_reports(index) if one.service != "orders"]


def _many_services(index: int) -> Sequence[WindowSummary]:
    names = range(index * 6_000, (index + 1) * 6_000)
    return [logs(index, [template("t_bad", 5, index, severity=17)], service=f"s{number}") for number in names]


def _courses(index: int, strength: int, keys: int = 20) -> Sequence[WindowSummary]:
    """Let every session be opened and closed, and ever more end with a refusal instead."""
    rng = noise(index)
    usual = (("t_open", 1), ("t_close", 1))
    sequences = [
        SequenceCount(key=f"s{index}_{n}", counts=(*usual, ("t_serve", rng.randint(1, 9))))
        for n in range(keys)
    ]
    refused = (("t_open", 1), ("t_refuse", 1))
    sequences += [SequenceCount(key=f"r{index}_{n}", counts=refused) for n in range(2**strength)]
    ordinary = [
        template("t_close", 20, index),
        template("t_open", 20, index),
        template("t_refuse", strength, index, severity=17),
    ]
    return [replace(logs(index, ordinary), sequences=tuple(sequences[: None if strength else keys]))]


LOGS: tuple[Scenario, ...] = (
    Scenario(
        name="new_template",
        make=NewTemplate,
        normal=_normal_logs,
        strange=_new_error,
        flood=lambda index: [
            logs(index, [template(f"t{index}_{n}", 1, index, severity=17) for n in range(5_000)])
        ],
    ),
    Scenario(
        name="template_rate",
        make=TemplateRate,
        normal=_normal_logs,
        strange=_burst,
        flood=lambda index: [logs(index, [template(f"t{index}_{n}", 1, index) for n in range(3_000)])],
    ),
    Scenario(name="severity", make=SeverityRise, normal=_normal_logs, strange=_burst, flood=_many_services),
    Scenario(name="silence", make=Silence, normal=_normal_reports, strange=_missing, flood=_many_services),
    Scenario(
        name="sequences",
        make=Sequences,
        normal=lambda index: _courses(index, 0),
        strange=_courses,
        flood=lambda index: _courses(index, 0, keys=2_000),
    ),
)
