"""The investigation graph with a scripted model: stages, verification, degradation, resumption."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver

from agent.analysis import Analysis, Risk, Stage
from agent.investigate.packing import pack, quoted
from agent.investigate.verify import fault_of
from agent.investigate.worker import without
from agent.suspects import Sides, gather_findings, rank_suspects
from detectors.anomaly import Evidence, EvidenceKind
from models.scripted import ScriptedChat
from models.unavailable import ModelUnavailable, UnavailableReason
from tests.support.graphs import answer, investigation, words
from tests.support.shop import ONSET, request, windows


def test_both_stages_come_out_and_the_second_carries_the_verified_words() -> None:
    """Statistics are published first; the explained analysis adds claims that cite evidence."""
    said: list[Analysis] = []
    model = ScriptedChat([answer()])
    last = investigation(model, said).run(request(), "t")
    assert [analysis.stage for analysis in said] == [Stage.STATISTICS, Stage.EXPLAINED]
    assert last.headline == "payments: cpu_usage rose during the incident to 96.96 %"
    assert last.hypotheses[0].service == "payments"
    assert last.hypotheses[0].claims[0].evidence_ids[0] in {item.id for item in last.evidence}
    assert last.provenance.model == "scripted"
    assert last.provenance.prompt == "explain@1"
    assert last.remediation[0].command == "kubectl top pod -l app=payments"
    assert last.remediation[0].risk is Risk.READ_ONLY
    assert said[0].headline.startswith("payments")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"claims": [{"text": "It rose to 4711 requests.", "evidence": ["E1"]}]}, "4711"),
        ({"claims": [{"text": "The frontend is broken too.", "evidence": ["E1"]}]}, "frontend"),
        ({"claims": [{"text": "See https://evil.example now.", "evidence": ["E1"]}]}, "link"),
        ({"claims": [{"text": "The kafka_consumer_lag rose.", "evidence": ["E1"]}]}, "names something"),
        (
            {"claims": [{"text": "The service payments is slow and " + "so " * 27, "evidence": ["E1"]}]},
            "breaks off",
        ),
    ],
)
def test_claims_that_evidence_does_not_carry_are_dropped(fields: dict[str, object], reason: str) -> None:
    """Foreign numbers, names and links cost the claim, and the analysis says how many fell."""
    said: list[Analysis] = []
    last = investigation(ScriptedChat([answer(**fields)]), said).run(request(), "t")
    assert last.hypotheses[0].claims == ()
    assert last.provenance.claims_dropped >= 1
    assert any(reason in why for why in last.provenance.dropped_because)
    assert last.headline == said[0].headline


@pytest.mark.parametrize(
    "reply",
    [
        ModelUnavailable(UnavailableReason.FILE_MISSING, "no such file; run faultline models pull"),
        ModelUnavailable(UnavailableReason.TIMED_OUT, "no answer within 5 s"),
        "this is no JSON",
        answer(suspect="somebody else"),
    ],
)
def test_whatever_the_model_does_the_analysis_stands(reply: str | BaseException) -> None:
    """A missing, hanging or babbling model costs the words and is said in the provenance."""
    said: list[Analysis] = []
    last = investigation(ScriptedChat([reply]), said).run(request(), "t")
    assert last.hypotheses[0].service == "payments"
    assert any(why.startswith("language model") for why in last.provenance.degraded)
    assert last.remediation


def test_a_killed_investigation_goes_on_at_its_last_node() -> None:
    """After a crash inside a node a second run resumes there: earlier nodes do not run again."""
    said: list[Analysis] = []
    saver = InMemorySaver()
    with pytest.raises(KeyboardInterrupt):
        investigation(ScriptedChat([KeyboardInterrupt()]), said, saver).run(request(), "t")
    last = investigation(ScriptedChat([answer()]), said, saver).run(request(), "t")
    assert [analysis.stage for analysis in said] == [Stage.STATISTICS, Stage.EXPLAINED]
    assert last.hypotheses[0].service == "payments"


def test_without_a_model_statistics_are_the_answer() -> None:
    """No model configured: one analysis, of the statistics stage."""
    said: list[Analysis] = []
    investigation(None, said).run(request(), "t")
    assert [analysis.stage for analysis in said] == [Stage.STATISTICS]


def ranking_of_shop() -> tuple[Sides, object]:
    held = windows()
    both = Sides.of(
        baseline=tuple(w for w in held if w.start < ONSET),
        incident=tuple(w for w in held if w.start >= ONSET),
    )
    return both, rank_suspects(gather_findings(both), edges=both.edges())


def test_packing_keeps_to_its_budget_and_says_what_it_left_out() -> None:
    """A small budget keeps the strongest evidence and counts the rest."""
    _, ranking = ranking_of_shop()
    whole = pack(ranking, (), budget=10_000, count=words)  # type: ignore[arg-type]
    small = pack(ranking, (), budget=60, count=words)  # type: ignore[arg-type]
    assert whole.left_out == 0
    assert small.left_out > 0
    assert small.aliases[0] == whole.aliases[0]


@given(st.text())
def test_quoted_text_cannot_end_its_own_quotation(text: str) -> None:
    """Quoted telemetry is one line without our quotation marks or control characters."""
    shown = quoted(text, 80)
    assert len(shown) <= 80
    assert not set(shown) & set("«»<>|\n\r\x1b")


def metric(statement: str) -> dict[str, Evidence]:
    item = Evidence(
        id="ev_1",
        kind=EvidenceKind.METRIC,
        environment="prod",
        service="payments",
        subject="cpu",
        label="cpu_usage",
        statement=statement,
        start=0,
        end=1,
        score=3.0,
    )
    return {"ev_1": item}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("CPU of payments rose to 96.4 %.", True),
        ("CPU of payments rose to 96 %.", True),
        ("CPU of payments rose to 97 %.", False),
        ("cpu_usage rose.", True),
        ("memory_usage rose.", False),
        ("Evidence E1 shows that payments is slow.", True),
        ("payments throws exceptions in its code.", False),
        ("payments leaks memory.", False),
        ("CPU of payments rose from 12.1 % to", False),
        ("CPU of payments rose to 96.4 %", True),
    ],
)
def test_numbers_may_be_rounded_but_not_changed(text: str, kept: bool) -> None:
    """A number holds when the cited evidence has it, rounded no more than its digits show."""
    evidence = metric("cpu_usage of payments rose from 12.1 % to 96.4 %")
    assert (fault_of(text, ("ev_1",), evidence, ("payments", "orders")) is None) == kept


def test_unknown_evidence_is_refused() -> None:
    """A claim that cites what is not there is dropped, whatever it says."""
    check: Callable[..., str | None] = fault_of
    assert check("payments is slow.", ("ev_2",), metric("x"), ("payments",)) is not None
    assert check("payments is slow.", (), metric("x"), ("payments",)) is not None


def test_the_baseline_leaves_other_incidents_out() -> None:
    """Intervals of other incidents are cut out; where nothing would remain the whole stands."""
    assert without((0, 100), [(20, 30), (90, 200)]) == ((0, 20), (30, 90))
    assert without((0, 100), [(-5, 500)]) == ((0, 100),)
