"""What people read: nothing from telemetry is obeyed, nothing exceeds a limit."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent.analysis import Claim, Hypothesis, Mechanism, RemediationStep, Risk, Stage, TimelineEntry
from agent.deliver import sanitize
from agent.deliver.notification import Kind, Notification
from agent.deliver.slack import (
    MAX_BLOCKS,
    MAX_HEADER,
    MAX_SECTION,
    blocks,
    code,
    escaped,
    fallback,
    preformatted,
)
from agent.deliver.terminal import render
from detectors.anomaly import Evidence
from tests.support.samples import T0, analysis, evidence, incident, notification

TEXT = st.text(alphabet=st.characters(codec=None, exclude_categories=[]), max_size=400)
NASTY = st.one_of(
    TEXT,
    st.sampled_from(
        ["<!channel>", "@here", "```", "&" * 4000, "<http://x|y>", "\x1b[2J", "[red]", "\U0001f525" * 4000]
    ),
    st.integers(1, 5000).map(lambda n: "<" * n),
)
SLOW = settings(deadline=None, max_examples=30)


@given(NASTY)
def test_clean_text_has_nothing_to_obey(raw: str) -> None:
    """No control, format or surrogate characters; one line is one line."""
    assert sanitize.line(raw).isprintable()
    assert all(part.isprintable() for part in sanitize.block(raw).split("\n"))


@given(NASTY, st.integers(0, 50))
def test_cut_text_keeps_its_limit(raw: str, limit: int) -> None:
    """And says that it was cut."""
    short = sanitize.line(raw, limit)
    assert len(short) <= limit
    assert short == sanitize.line(raw) or not short or short.endswith("…")


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "click"),
        ("\x9b2Jx", "x"),
        ("a\r\nb\tc\x08\x7f", "a b c"),
        ("user\u202etxt.exe", "usertxt.exe"),
        ("zero\u200bwidth", "zerowidth"),
        ("ünïcødé 日本 ok", "ünïcødé 日本 ok"),
    ],
)
def test_escapes_and_overrides_go(raw: str, clean: str) -> None:
    """While people's own letters stay."""
    assert sanitize.line(raw) == clean


def told(text: str) -> Notification:
    """Return a notification with `text` wherever telemetry or a model could put it."""
    proof = evidence(text)
    loaded = Evidence(
        id=proof.id, kind=proof.kind, environment=text, service=text, subject=text, label=text,
        statement=text, start=T0, end=T0 + 1, score=1.0, lines=proof.lines,
    )  # fmt: skip
    suspects = tuple(
        Hypothesis(
            service=text, component=text, mechanism=Mechanism.POOL, probability=0.5,
            evidence_ids=(proof.id,), against=(), claims=(Claim(text=text, evidence_ids=(proof.id,)),) * 9,
        )
        for _ in range(9)
    )  # fmt: skip
    steps = (RemediationStep(step=text, why=text, risk=Risk.DISRUPTIVE, command=text, citation=None),) * 30
    whole = analysis(
        headline=text, hypotheses=suspects, evidence=(loaded,), remediation=steps,
        missing_evidence=(text,) * 30, ruled_out=(text,) * 30,
        timeline=(TimelineEntry(time=T0, service=text, what=text, evidence_id=proof.id),) * 40,
    )  # fmt: skip
    about = incident(title=text, environment=text or "e", services=(text,) * 40)
    return notification(incident=about, analysis=whole, kind=Kind.ANALYZED)


@SLOW
@given(NASTY)
def test_slack_s_limits_hold_by_construction(raw: str) -> None:
    """Whatever the text: blocks, sections, headers and contexts stay within what Slack takes."""
    made = [part.to_dict() for part in blocks(told(raw), "https://f.test")]
    assert 0 < len(made) <= MAX_BLOCKS
    for part in made:
        if part["type"] == "header":
            assert 0 < len(part["text"]["text"]) <= MAX_HEADER
        elif part["type"] == "section":
            assert 0 < len(part["text"]["text"].encode("utf-16-le")) // 2 <= MAX_SECTION
        elif part["type"] == "context":
            assert 0 < len(part["elements"]) <= 10
            assert all(0 < len(element["text"]) <= 2000 for element in part["elements"])
    assert len(fallback(told(raw))) <= MAX_SECTION


def texts(item: Notification) -> list[dict[str, str]]:
    """Return all text objects of a Slack message."""
    found: list[dict[str, str]] = []
    for part in blocks(item, None):
        made = part.to_dict()
        found += [made["text"]] if "text" in made else made.get("elements", [])
    return found


@SLOW
@given(NASTY)
def test_slack_obeys_nothing_from_telemetry(raw: str) -> None:
    """No angle bracket survives, so no mention or link; code cannot be left; the rest is plain text."""
    for text in texts(told(raw)):
        assert "<" not in text["text"]
        assert ">" not in text["text"]
        if text["type"] == "mrkdwn":
            outside = re.sub(r"```[^`]*```|`[^`]*`", "", text["text"])
            assert "`" not in outside
            assert re.fullmatch(r"[a-zA-Z0-9\s*_:,.%…()-]*", outside), outside


def test_slack_mentions_and_links_are_dead() -> None:
    """The usual attacks end as text."""
    for attack in ("<!channel>", "<!here|here>", "<@U123>", "<http://evil.test|runbook>"):
        shown = " ".join(text["text"] for text in texts(told(attack)))
        assert attack not in shown
        assert attack.replace("<", "&lt;").replace(">", "&gt;") in shown


def test_entities_are_never_cut_in_two() -> None:
    """A cut leaves whole characters."""
    assert escaped("&&&", 11) == "&amp;&amp;…"
    assert escaped("&&", 10) == "&amp;&amp;"
    assert code("a`b", 10) == "`aˋb`"
    assert preformatted("```\nx", 40) == "```ˋˋˋ\nx```"
    assert preformatted("", 40) == "``` ```"


def report(item: Notification, width: int = 80, terminal: bool = False) -> str:
    """Return what the terminal report prints."""
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=terminal, color_system="standard" if terminal else None
    )
    assert item.analysis is not None
    render(item.incident, item.analysis, console)
    return out.getvalue()


def test_the_report_answers_first_and_proves_below() -> None:
    """Headline, verdict and suspect before evidence; every fact with its place; steps with their risk."""
    text = report(notification())
    order = [
        "payments refuses connections", "Verdict likely, confidence 71%", "1. payments at payments-7d9f",
        "Impact", "[read-only] Look at the pool", "kubectl describe pod payments-7d9f",
        "runbook: Connection pool exhausted", "Timeline", "+0s", "412 times in 10 s", "logs/2/77",
        "connection refused by payments:8443", "catalog: no deviation", "no traces from payments",
        "pool size", "explain@1",
    ]  # fmt: skip
    places = [text.find(part) for part in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)
    assert evidence().id in text


def test_the_report_without_a_model_says_so() -> None:
    """The statistical stage is no lesser report."""
    text = report(notification(analysis=analysis(stage=Stage.STATISTICS, hypotheses=(), remediation=())))
    assert "statistics only, no model" in text
    assert "the evidence points at no service" in text


@SLOW
@given(NASTY, st.integers(30, 120))
def test_the_report_is_plain_where_there_is_no_terminal(raw: str, width: int) -> None:
    """No escape from us or from telemetry, and no line wider than asked."""
    text = report(told(raw), width)
    assert all(part.isprintable() for part in text.split("\n"))


def test_telemetry_is_never_markup() -> None:
    """Rich's own markup in a log line is text; the only escapes on a terminal are ours."""
    text = report(told("[bold red]x[/] \x1b]8;;http://evil\x1b\\"), terminal=True)
    assert "[bold red]x[/]" in text
    assert "evil" not in text
    assert set(re.findall(r"\x1b(.)", text)) == {"["}
