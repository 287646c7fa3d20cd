"""The customers and the collector: journeys by seed, log files line by line, readings that may fail."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import click
import psycopg
import pytest

from tests.testbed.__main__ import DURATION
from tests.testbed.collector import OneReading, Tail
from tests.testbed.load import JOURNEYS, REQUESTS_PER_JOURNEY, _steps


def _mean_steps(name: str) -> float:
    return sum(len(_steps(name, random.Random(seed))) for seed in range(2_000)) / 2_000


def test_journeys_make_the_rate_that_is_asked_for() -> None:
    """The mean number of requests over the mix is what turns requests a second into journeys a second."""
    mean = sum(share * _mean_steps(name) for name, share in JOURNEYS.items())
    assert sum(JOURNEYS.values()) == pytest.approx(1)
    assert mean == pytest.approx(REQUESTS_PER_JOURNEY, rel=0.05)


@pytest.mark.parametrize("name", JOURNEYS)
def test_journey_follows_from_its_seed(name: str) -> None:
    """Equal seeds walk the same way through the shop."""
    assert _steps(name, random.Random(5)) == _steps(name, random.Random(5))


def test_buyers_check_out_once_and_after_filling_the_cart() -> None:
    """Who buys puts something into the cart first."""
    for seed in range(50):
        paths = [path for _, path, _ in _steps("buy", random.Random(seed))]
        assert Counter(paths)["/checkout"] == 1
        assert paths.index("/cart/items") < paths.index("/checkout")


def test_tail_ships_whole_lines_from_the_end_on(tmp_path: Path) -> None:
    """Old lines stay where they are; a line is shipped when its newline is there."""
    path = tmp_path / "server.log"
    path.write_bytes(b"old\n")
    tail = Tail(path)
    with path.open("ab", buffering=0) as log:
        log.write(b"first\n\nhalf a ")
        assert tail.lines() == ["first"]
        log.write(b"line\n\xff\n")
        assert tail.lines() == ["half a line", "\ufffd"]
    tail.close()


def test_reading_gives_nothing_while_the_database_is_away() -> None:
    """A database that does not answer costs its metrics, not the collector."""

    def away() -> dict[str, float]:
        raise psycopg.OperationalError("connection refused")

    assert OneReading(away).value("active") is None
    assert OneReading(lambda: {"active": 3}).value("active") == 3.0


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("45s", 45), ("8m", 480), ("1.5h", 5400)])
def test_durations(text: str, seconds: float) -> None:
    """Durations are written as people write them."""
    assert DURATION.convert(text, None, None) == seconds


def test_bad_duration_says_how_to_write_one() -> None:
    """The error names an example."""
    with pytest.raises(click.BadParameter, match="90s or 8m"):
        DURATION.convert("soon", None, None)
