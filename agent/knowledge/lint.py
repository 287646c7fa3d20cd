"""Says what runbooks lack: ours need every section, risk and field, others only must not mislead.

Pure; order follows file and line.
"""

from __future__ import annotations

from agent.analysis import Risk
from agent.knowledge.markdown import lines_of, stated_risk
from agent.knowledge.runbook import Library, Problem, Runbook, Section, SectionKind, Step

NEEDED = (
    SectionKind.MEANING,
    SectionKind.IMPACT,
    SectionKind.DIAGNOSIS,
    SectionKind.MITIGATION,
    SectionKind.VERIFY,
    SectionKind.UNDO,
)
_WITH_STEPS = frozenset(NEEDED[2:])
_RISKS = ", ".join(risk.value for risk in Risk)


def lint(library: Library) -> tuple[Problem, ...]:
    """Return every problem of the folder: those met while loading, and those of each runbook."""
    found = list(library.problems)
    for runbook in library.runbooks:
        found.extend(_fields(runbook))
        found.extend(_sections(runbook))
        for section in runbook.sections:
            found.extend(_steps(runbook, section))
    return tuple(sorted(found, key=lambda problem: (problem.path, problem.line, problem.message)))


def _fields(runbook: Runbook) -> list[Problem]:
    if not runbook.ours:
        return []
    empty = [
        name
        for name, value in (
            ("alerts", runbook.alerts),
            ("symptoms", runbook.symptoms),
            ("services", runbook.services),
            ("mechanisms", runbook.mechanisms),
            ("severity", runbook.severity),
        )
        if not value
    ]
    return [
        Problem(
            path=runbook.path, line=1, message=f"front matter has no `{name}`: search finds less without it"
        )
        for name in empty
    ]


def _sections(runbook: Runbook) -> list[Problem]:
    if runbook.ours:
        there = {section.kind for section in runbook.sections}
        return [
            Problem(path=runbook.path, line=1, message=f"no section `## {kind.value.capitalize()}`: add one")
            for kind in NEEDED
            if kind not in there
        ]
    if any(section.steps for section in runbook.sections):
        return []
    message = "no steps: number them (`1. …`) so that an analysis can offer them one by one"
    return [Problem(path=runbook.path, line=1, message=message, fatal=False)]


def _steps(runbook: Runbook, section: Section) -> list[Problem]:
    found: list[Problem] = []
    if runbook.ours and section.kind in _WITH_STEPS and not section.steps:
        message = f"`{section.heading}` has no numbered steps"
        found.append(Problem(path=runbook.path, line=section.line, message=message))
    lines, _ = lines_of(section.text, section.text_line)
    for line in lines:
        stated = stated_risk(line)
        if isinstance(stated, str) and not isinstance(stated, Risk):
            message = f"unknown risk `{stated}`: one of {_RISKS}"
            found.append(Problem(path=runbook.path, line=line.number, message=message))
    found.extend(problem for step in section.steps for problem in _step(runbook, step))
    return found


def _step(runbook: Runbook, step: Step) -> list[Problem]:
    if not step.risk_stated:
        if not runbook.ours:
            return []
        message = f"step {step.number} states no risk: add a line `**Risk:** …` with one of {_RISKS}"
        return [Problem(path=runbook.path, line=step.line, message=message)]
    understated = step.risk is Risk.READ_ONLY and step.judged is not Risk.READ_ONLY
    if understated and step.command is not None:
        message = (
            f"step {step.number} says read-only, but its command may change something: state its real risk"
        )
        return [Problem(path=runbook.path, line=step.line, message=message)]
    return []
