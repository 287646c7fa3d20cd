"""What people are shown of recordings of every shape, and that telemetry's text stays text."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent.evaluate.inspection import inspect_recording, render, summary, summary_lines
from agent.evaluate.inspection.report import Report
from ingest.recordings import RecordingError
from tests.support.inspected import interval, log, point, span, stamp, write

SHOP = Path(__file__).parents[2] / "recordings" / "demo"
NASTY = "</pre></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}\x1b[31m\u202e"


class _Page(HTMLParser):
    """Collects elements and attributes, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def inspected(folder: Path) -> Report:
    """Read a recording without anybody watching."""
    return inspect_recording(folder, lambda _: None)


def test_a_shop_fault_is_seen_where_it_was() -> None:
    """The broken service stands among the first, its signal is told, and truth and postmortem are shown."""
    report = inspected(SHOP / "pool-exhausted")
    assert report.services[0].name == "inventory"
    told = "; ".join(change.words for change in report.services[0].leading)
    assert "failed 0 % → 100 %" in told
    pool = next(r for r in report.services[0].resources if r.family == "pool")
    assert pool.capacity == 10
    page = render(report)
    assert "stock audit" in page
    assert "10 of 10" in page


def test_a_quiet_recording_looks_quiet() -> None:
    """No service of a fault-free recording is told to have changed."""
    report = inspected(SHOP / "quiet")
    assert report.quiet
    assert report.notable == ()
    assert list(summary_lines(report))[-1] == "  no service changed notably"


def test_pages_load_nothing_and_run_nothing() -> None:
    """No script, no style attribute, no address but its own anchors: the file is complete by itself."""
    page = _Page(render(inspected(SHOP / "bad-deploy")))
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "form", "input"}
    links = {value for name, value in page.attributes if name in {"href", "src", "action", "xlink:href"}}
    assert all(link.startswith("#s") or link == "data:," for link in links)
    assert not [name for name, _ in page.attributes if name == "style" or name.startswith("on")]
    policy = next(value for name, value in page.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_hostile_text_is_inert_wherever_it_comes_from(tmp_path: Path) -> None:
    """Names, lines, labels, titles, notes and marks are shown, never obeyed, on the page and the terminal."""
    folder = write(
        tmp_path / "hostile",
        {
            "id": NASTY,
            "system": NASTY,
            "symptom": NASTY,
            "notes": [NASTY],
            "incident": interval(300, 600),
            "marks": [
                {"time": stamp(310), "what": NASTY, "service": NASTY, "harmless": True},
                NASTY,
                {"time": NASTY},
            ],
        },
        logs=[
            log(t, f"{NASTY} {t}" if t > 300 else "ok", service=NASTY, severity="ERROR")
            for t in range(0, 600, 5)
        ],
        metrics=[
            point(t, t, NASTY, service=NASTY, unit=NASTY, labels={NASTY: NASTY}) for t in range(0, 600, 5)
        ],
        spans=[
            span(t, 0.1 + (t > 300), service=NASTY, number=t, name=NASTY, peer=NASTY)
            for t in range(0, 599, 5)
        ],
        changes=[{"time": stamp(305), "service.name": NASTY, "change": NASTY, "title": NASTY}],
    )
    truth = {
        "id": NASTY,
        "root_cause": {"service": NASTY, "fault": NASTY, "metric_or_code": NASTY},
        "postmortem": NASTY,
    }
    (tmp_path / "truth.jsonl").write_text(json.dumps(truth) + "\n")
    report = inspected(folder)
    html = render(report)
    page = _Page(html)
    assert not page.tags & {"script", "img"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert "&lt;script&gt;" in html
    assert "{{7*7}}" in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert not re.search("[\x1b\u202e]", "".join(summary_lines(report)))


def test_metrics_alone_are_enough(tmp_path: Path) -> None:
    """Latency and request metrics stand in for spans; a baseline after the incident is a baseline."""
    during = [point(t, 0.9, "latency_p95", unit="s") for t in range(60)]
    after = [point(t, 0.05 + t % 3 / 100, "latency_p95", unit="s") for t in range(4000, 4300)]
    load = [point(t, 20.0, "load", unit="1/s") for t in (*range(60), *range(4000, 4300))]
    case = {"incident": interval(0, 60), "baseline": interval(4000, 4300)}
    report = inspected(write(tmp_path / "late", case, metrics=[*during, *after, *load]))
    (service,) = report.services
    assert service.leading[0].words.startswith("p95 60 ms → 900 ms")
    assert "requests" in service.changes
    assert len(report.layout.pieces) == 2
    assert "late" in render(report)


def test_marks_are_drawn_with_their_service_or_above_all(tmp_path: Path) -> None:
    """A change stands in its service's row, one of no service above all rows; harmless ones say so."""
    case = {
        "incident": interval(300, 600),
        "marks": [
            {"time": stamp(100), "what": "deploy 2.0", "service": "birch", "harmless": True},
            {"time": stamp(300), "what": "fault injected", "service": "", "harmless": False},
        ],
    }
    folder = write(tmp_path / "marked", case, metrics=[point(t, t % 7) for t in range(0, 600, 5)])
    report = inspected(folder)
    assert [(mark.what, mark.harmless) for mark in report.marks] == [
        ("deploy 2.0", True),
        ("fault injected", False),
    ]
    page = render(report)
    assert page.count('class="mark harmless"') == 1
    assert page.count('class="mark"') == 1
    assert "12:01:40 birch deploy 2.0 (harmless)" in page


def test_minute_samples_and_second_samples_choose_their_cells(tmp_path: Path) -> None:
    """An hour of minutes is drawn in minutes or finer, five minutes of seconds in seconds."""
    slow = inspected(write(tmp_path / "slow", {}, metrics=[point(60 * n, n % 7) for n in range(60)]))
    fast = inspected(write(tmp_path / "fast", {}, metrics=[point(n, n % 7) for n in range(280)]))
    assert slow.grid.cell == 60 * 10**9
    assert fast.grid.cell == 10**9


def test_lines_that_cannot_be_read_are_counted_and_said(tmp_path: Path) -> None:
    """A damaged recording is shown as far as it goes, with what is missing on the page."""
    folder = write(tmp_path / "torn", {}, logs=[log(t, f"hello {t}") for t in range(2000)])
    whole = (folder / "logs.jsonl.gz").read_bytes()
    (folder / "logs.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "metrics.jsonl").write_bytes(b'{"time": 1}\nnot json\n\n')
    report = inspected(folder)
    assert 0 < report.signals["logs"] < 2000
    page = render(report)
    assert "logs.jsonl.gz cannot be read to its end" in page
    assert "metrics could not be read" in page


def test_nothing_to_show_is_an_error_that_says_why(tmp_path: Path) -> None:
    """A folder without telemetry is no page of emptiness."""
    with pytest.raises(RecordingError, match="no line of logs, metrics or spans"):
        inspected(write(tmp_path / "void", {}))
    with pytest.raises(RecordingError, match=r"missing; a recording is a folder with a `case\.json`"):
        inspected(tmp_path)


def test_hundreds_of_services_stay_readable(tmp_path: Path) -> None:
    """The one that changed comes first; the rest is folded, and the page stays small."""
    metrics = [
        point(
            60 * n,
            (n * 7 + s) % 11 + (90 if s == 170 and n >= 20 else 0),
            "cpu",
            service=f"s{s:03d}",
            unit="%",
        )
        for n in range(30)
        for s in range(300)
    ]
    report = inspected(write(tmp_path / "wide", {"incident": interval(1200, 1800)}, metrics=metrics))
    assert report.services[0].name == "s170"
    page = render(report)
    assert "288 more services, less changed" in page
    assert len(page) < 1_000_000


def test_summary_is_the_same_for_programs(tmp_path: Path) -> None:
    """Order, marks and changes stand in the JSON too, and hold only what JSON can hold."""
    told = summary(inspected(SHOP / "bad-deploy"))
    assert [one["service"] for one in told["services"]][:2] == ["checkout", "orders"]
    assert told["marks"][0]["service"] == "orders"
    assert told["truth"] == "orders"
    json.dumps(told, allow_nan=False)
