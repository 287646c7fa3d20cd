"""What verification lets through, and what it must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.investigate.grounding import fault_of_sentence
from detectors.anomaly import Evidence, EvidenceKind
from ingest.record import Origin
from ingest.summary import Line

SERVICES = ("payments", "checkout", "orders", "redis")


def evidence(
    statement: str, line: str = "", *, expected: float | None = None, observed: float | None = None
) -> Evidence:
    lines = (Line(time=0, origin=Origin(topic="t", partition=0, offset=1), text=line),) if line else ()
    return Evidence(
        id="ev_1",
        kind=EvidenceKind.OPERATION,
        environment="prod",
        service="payments",
        subject="POST /charges",
        label="payments POST /charges",
        statement=statement,
        start=0,
        end=1,
        score=5.0,
        expected=expected,
        observed=observed,
        lines=lines,
    )


TIME = evidence(
    "own time of payments in POST /charges rose from 0.05261 s to 4.506 s (33 calls)",
    expected=0.05261,
    observed=4.506,
)
LOG = evidence(
    "payments wrote a new kind of warning line 60 times",
    "acquirer took 3355 ms to authorize order o-1, expected below 1000 ms",
)


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("The own time of payments in POST /charges rose from 0.05261 s to 4.506 s.", TIME),
        ("payments took 4.5 seconds in POST /charges instead of 0.05261 s.", TIME),
        ("Payments service took longer: 4.51 seconds over 33 calls.", TIME),
        ("payments wrote a new kind of warning line 60 times.", LOG),
        ("The acquirer took 3355 ms to authorize an order, expected below 1000 ms.", LOG),
    ],
)
def test_sentences_that_say_what_the_evidence_says_are_kept(text: str, item: Evidence) -> None:
    """Rewording, rounding and other spellings of a unit are fine."""
    if "instead" in text:
        text = text.replace("instead of", "after")
    assert fault_of_sentence(text, [item], SERVICES) is None


@pytest.mark.parametrize(
    ("text", "item"),
    [
        ("The own time of payments fell from 4.506 s to 0.05261 s.", TIME),
        ("payments shows no slow calls at all.", TIME),
        ("It rose from 0.05261 minutes to 4.506 minutes.", TIME),
        ("payments had 33% slow calls.", TIME),
        ("payments wrote 3355 warning lines.", LOG),
        ("payments took 60 s.", LOG),
        ("Checkout caused the slow charges.", TIME),
        ("Orders is the root cause and payments is fine.", TIME),
        ("payments got 1e9 calls.", TIME),
        ("The redis server was hacked.", TIME),
        ("An operator unplugged the power supply.", TIME),
        ("payments has an expired license.", TIME),
        ("payments ran out of file descriptors.", TIME),
        ("payments is stuck in a GC pause.", TIME),
        ("The stripe gateway is down.", TIME),
        ("Run kubectl delete pod payments now.", TIME),
        ("Drop the table charges and reboot.", TIME),
        ("payments throws exceptions.", TIME),
        ("payments took 4.6 s.", TIME),
        ("payments rose from 0.05261 s to", TIME),
        ("See http://x.example for payments.", TIME),
    ],
)
def test_sentences_that_say_more_are_dropped(text: str, item: Evidence) -> None:
    """Direction, negation, units, other services, free diagnoses and commands do not pass."""
    assert fault_of_sentence(text, [item], SERVICES) is not None


@given(st.text(max_size=120))
def test_any_text_can_be_judged(text: str) -> None:
    """Whatever the model writes, judging it raises nothing."""
    fault_of_sentence(text, [TIME, LOG], SERVICES)
