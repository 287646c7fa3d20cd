"""One page a case, for people who want to know why a case was found or missed, and an index of all.

The pages are the service's own incident pages, with the truth on top; the index says where the truth stood.
Everything stands in one folder, needs no network, and all text is escaped by the engine.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agent.analysis import Analysis, Incident
from agent.deliver.sanitize import block
from agent.evaluate.calibrate import held_apart
from agent.evaluate.cases import Case
from agent.evaluate.figures import Figures
from agent.evaluate.rca import Prediction
from agent.evaluate.reliability import Reliability, reliability
from agent.evaluate.report import number
from agent.serve.deps import ReadStore
from agent.serve.pages import Pages, pages
from agent.serve.text import percent, words
from detectors.anomaly import Anomaly
from ingest.record import Nanos
from ingest.summary import WindowSummary

INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class _CaseStore:
    """The one incident that a case is, in the form in which pages read."""

    case: Case
    analysis: Analysis

    def incident(self, incident_id: str) -> Incident:
        """Return the case's incident; of all its services only suspects are worth a reader's time."""
        del incident_id
        suspects = tuple(hypothesis.service for hypothesis in self.analysis.hypotheses)
        return replace(self.case.request().incident, services=suspects)

    def analyses(self, incident_id: str) -> tuple[Analysis, ...]:
        """Return its analysis."""
        del incident_id
        return (self.analysis,)

    def anomalies(self, incident_id: str) -> tuple[Anomaly, ...]:
        """Return none: the interval was given."""
        del incident_id
        return ()

    def delivery_states(self, incident_id: str) -> tuple[Any, ...]:
        """Return none: nothing is sent."""
        del incident_id
        return ()

    def telemetry(
        self, environment: str, start: Nanos, end: Nanos, services: Sequence[str] | None = None
    ) -> tuple[WindowSummary, ...]:
        """Return the windows of a span of time, as telemetry memory would."""
        del environment
        return tuple(
            window
            for window in (*self.case.before, *self.case.during)
            if start <= window.start < end and (services is None or window.service in services)
        )


@dataclass(slots=True)
class CasePages:
    """Writes a case's page as soon as it is judged, and the index at the end."""

    folder: Path
    _pages: Pages = field(default_factory=pages)
    _rows: list[Prediction] = field(default_factory=list)

    def add(self, case: Case, analysis: Analysis, prediction: Prediction) -> None:
        """Write the page of one case."""
        self.folder.mkdir(parents=True, exist_ok=True)
        store = cast("ReadStore", _CaseStore(case, analysis))
        page = self._pages.incident(store, analysis.incident_id, case.end, alone=True)
        banner = _environment().get_template("truth.html").render(one=prediction)
        text = (page or "").replace("<main>", f"<main>{banner}", 1)
        (self.folder / file_of(prediction)).write_text(text, encoding="utf-8")
        self._rows.append(prediction)

    def finish(self, figures: Figures) -> Path:
        """Write the index; return its path."""
        environment = _environment()
        assert environment.loader is not None
        style, _, _ = environment.loader.get_source(environment, "cases.css")
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        judged = held_apart(self._rows)
        plots: list[tuple[str, Reliability]] = [
            (
                "as the analyses say it",
                reliability([(one.confidence, one.place == 1) for one in self._rows]),
            )
        ]
        if judged:
            plots.append(
                ("by parameters of other systems", reliability([(j.confidence, j.right) for j in judged]))
            )
        text = environment.get_template("cases.html").render(
            style=Markup(style),  # noqa: S704 - our own file
            policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'",
            rows=sorted(self._rows, key=lambda one: (one.system, one.place == 1, one.id)),
            figures=figures,
            plots=plots,
        )
        path = self.folder / INDEX
        path.write_text(text, encoding="utf-8")
        return path


def file_of(prediction: Prediction) -> str:
    """Return the file name of a case's page."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{prediction.system}-{prediction.id}") + ".html"


def ordinal(place: int | None) -> str:
    """Return a place as people say it: `1st`, `22nd`, `113th`, `nowhere`."""
    if place is None:
        return "nowhere"
    teen = place % 100 in {11, 12, 13}
    return f"{place}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(place % 10, 'th')}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("agent.evaluate", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: block(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "words": words,
        "number": number,
        "file": file_of,
        "place": ordinal,
    }
    return environment
