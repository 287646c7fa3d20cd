"""What lint says of our runbooks and of anybody's."""

from __future__ import annotations

from agent.knowledge.lint import lint
from agent.knowledge.load import parse_runbook
from agent.knowledge.runbook import Library, Problem

GOOD = """---
id: x
title: X
alerts: [A]
symptoms: [b]
services: [c]
mechanisms: [cpu]
severity: error
---

## Meaning

M.

## Impact

I.

## Diagnosis

1. Look.

   **Risk:** read-only

   ```sh
   kubectl get pods
   ```

## Mitigation

1. Act.

   **Risk:** disruptive

   ```sh
   kubectl delete pod x
   ```

## Verify

1. Look again.

   **Risk:** read-only

## Undo

1. Nothing to undo.

   **Risk:** read-only
"""


def problems(text: str) -> list[Problem]:
    """Return what lint says of one runbook."""
    runbook, met = parse_runbook(text, "x.md")
    return list(lint(Library(runbooks=(runbook,), problems=met)))


def test_a_good_runbook_has_no_problems() -> None:
    """Lint is silent when all is there."""
    assert problems(GOOD) == []


def test_missing_fields_and_sections_are_named() -> None:
    """Each missing field and section is one problem."""
    text = GOOD.replace("alerts: [A]\n", "").replace("mechanisms: [cpu]\n", "").replace("## Undo", "## Notes")
    found = [problem.message for problem in problems(text)]
    assert len(found) == 3
    assert any("`alerts`" in message for message in found)
    assert any("`mechanisms`" in message for message in found)
    assert any("## Undo" in message for message in found)


def test_step_without_risk_is_found_at_its_line() -> None:
    """Ours must state each step's risk."""
    text = GOOD.replace("1. Act.\n\n   **Risk:** disruptive\n", "1. Act.\n")
    (problem,) = problems(text)
    assert text.splitlines()[problem.line - 1] == "1. Act."
    assert problem.fatal
    assert "states no risk" in problem.message


def test_unknown_risk_is_found_at_its_line() -> None:
    """A risk that is none of ours is told, with those that are, beside the step that now has none."""
    text = GOOD.replace("**Risk:** disruptive", "**Risk:** harmless")
    found = problems(text)
    unknown = next(problem for problem in found if "unknown risk `harmless`" in problem.message)
    assert "harmless" in text.splitlines()[unknown.line - 1]
    assert "read-only, reversible, disruptive" in unknown.message


def test_understated_risk_is_an_error_for_everybody() -> None:
    """A deletion that calls itself read-only is refused, in plain Markdown too."""
    (ours,) = problems(GOOD.replace("**Risk:** disruptive", "**Risk:** read-only"))
    assert "its command may change something" in ours.message
    plain = "# X\n\n## Mitigation\n\n1. Act.\n\n   **Risk:** read-only\n\n   ```\n   reboot\n   ```\n"
    (theirs,) = problems(plain)
    assert theirs.fatal


def test_section_without_steps_is_told() -> None:
    """Our diagnosis without a numbered step offers nothing."""
    text = GOOD.replace("1. Look again.\n\n   **Risk:** read-only\n", "Look again.\n")
    (problem,) = problems(text)
    assert "no numbered steps" in problem.message


def test_plain_markdown_gets_advice_only() -> None:
    """Anybody's notes pass; that they offer no steps is advice."""
    (problem,) = problems("# Notes\n\nCall Ann.\n")
    assert not problem.fatal
    assert str(problem).startswith("x.md:1: advice: no steps")
    assert problems("# Notes\n\n## Mitigation\n\n1. Call Ann.\n") == []
