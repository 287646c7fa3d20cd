"""The drawing of a set of sequences: what is on it, where, and in which colour."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from agent.evaluate.sequence_plots import draw, picture
from agent.evaluate.sequence_stream import Judged
from detectors.sequence_known import Deviation
from detectors.sequence_model import Verdict
from ingest.record import SECOND

_SVG = "{http://www.w3.org/2000/svg}"


def _verdict(key: str, score: float, template: str, last: int, count: int = 1) -> Verdict:
    why = Deviation(score=score, template=template, count=count)
    return Verdict(key=key, odd=True, sudden=False, why=why, last=last * SECOND)


def _judged() -> Judged:
    """Two found of which one is right, one missed, one ordinary."""
    found = (_verdict("right", 3.0, "t1", 10), _verdict("wrong", 1.5, "t2", 90, count=0))
    return Judged(
        odd={verdict.key: verdict for verdict in found},
        counts={},
        last={"right": 10 * SECOND, "wrong": 90 * SECOND, "missed": 50 * SECOND, "plain": 100 * SECOND},
        texts={"t1": "refused <b> & gone", "t2": "closed"},
    )


_LABELS = {"right": True, "wrong": False, "missed": True, "plain": False}


def test_dots_are_green_or_red_and_higher_the_odder() -> None:
    """A dot for each that was found, in order of time and score."""
    root = ElementTree.fromstring(picture("okapi", _judged(), _LABELS))
    right, wrong = root.iter(f"{_SVG}circle")
    assert right.get("fill") != wrong.get("fill")
    assert float(right.get("cx") or 0) < float(wrong.get("cx") or 0)
    assert float(right.get("cy") or 0) < float(wrong.get("cy") or 0)


def test_it_says_in_words_what_was_found_and_by_what() -> None:
    """Text of telemetry is escaped; what is lacking is called so."""
    drawn = picture("okapi", _judged(), _LABELS)
    texts = [text.text or "" for text in ElementTree.fromstring(drawn).iter(f"{_SVG}text")]
    assert "okapi: 1 of 2 anomalous sequences found, 1 false alarms among 4 sequences" in texts
    assert "1 · 1× refused <b> & gone" in texts
    assert "1 · no closed" in texts


def test_a_missed_one_is_seen_beside_ordinary_ones() -> None:
    """The ground has a stroke for each place, of another colour where one was missed."""
    strokes = [
        path.get("stroke")
        for path in ElementTree.fromstring(picture("okapi", _judged(), _LABELS)).iter(f"{_SVG}path")
        if not path.get("stroke-dasharray")
    ]
    assert len(strokes) == 2
    assert len(set(strokes)) == 2


def test_nothing_found_is_drawn_too(tmp_path: Path) -> None:
    """An empty set makes a drawing of its name and threshold."""
    path = draw(tmp_path / "new", "empty", Judged(odd={}, counts={}, last={}, texts={}), {})
    assert path.name == "empty.svg"
    root = ElementTree.fromstring(path.read_text())
    assert not list(root.iter(f"{_SVG}circle"))
