"""Evidence kind: services that others complain about.

A new error line that names another service speaks against that service, if the writer may have called it.
Complaints of several services about one are worth more than one's own. Where calls got no answer at all
and the named service shows no trouble of its own, the way to it is meant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.logs import WARN, finding_of, scored_turns
from agent.suspects.sides import Sides
from agent.suspects.statements import beginning
from agent.suspects.wording import UNREACHED, named_in, text_of

SHARE = 0.6
"""Of a complaint's weight that the named service bears."""
LEAST = 2.0
PASSED_ON = 0.4
"""What a complaint is worth about one who complains about another: it passes trouble on."""
MOST = 3
AGAIN = 0.5
"""What each further complainer adds, of its own share."""


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield for each service the complaints about it, the strongest of each complainer."""
    edges, usual = sides.edges(), _usual(sides)
    about: dict[str, list[Finding]] = {}
    for service in sides.services():
        best: dict[str, Finding] = {}
        for found in _complaints(sides, service, usual):
            # An access log names who asked: that is no complaint about them.
            asked = (found.service, service) in edges and (service, found.service) not in edges
            known = best.get(found.service)
            if not asked and (known is None or known.value < found.value):
                best[found.service] = found
        for named, found in best.items():
            about.setdefault(named, []).append(found)
    complaining = {found.evidence.service for complaints in about.values() for found in complaints}
    for named, complaints in sorted(about.items()):
        if named in complaining:
            complaints = [dataclasses.replace(f, value=PASSED_ON * f.value) for f in complaints]
        complaints.sort(key=lambda f: (-f.value, f.evidence.id))
        for place, found in enumerate(complaints[:MOST]):
            yield found if place == 0 else dataclasses.replace(found, value=AGAIN * found.value)


def _complaints(sides: Sides, service: str, usual: set[str]) -> Iterator[Finding]:
    """Yield what a service's new complaints say about each other service that they name."""
    others = set(sides.services()) - {service}
    for value, turn in scored_turns(sides, service):
        if value < LEAST or turn.side.severity_number < WARN or turn.deviance <= 0:
            continue
        if beginning(turn.side.template) in usual:
            continue
        silent = UNREACHED.search(text_of(turn.side)) is not None
        for named in named_in(turn.side, others):
            yield dataclasses.replace(
                finding_of(sides, service, turn, SHARE * value),
                service=named,
                part="blamed",
                mechanism=Mechanism.NETWORK if silent else Mechanism.UNKNOWN,
            )


def _usual(sides: Sides) -> set[str]:
    """Return how the complaints begin that some service wrote in normal times: those are everyday noise."""
    return {
        beginning(seen.template)
        for side in sides.baseline.values()
        for seen in side.templates.values()
        if seen.severity_number >= WARN
    }
