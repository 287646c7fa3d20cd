"""Lines without end that are all different: bounded, counted by reason, and answered as Drain3 would."""

from __future__ import annotations

import random
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.masking import MAX_WORDS, mask
from ingest.templates import OVERFLOW, Templates, nearest
from ingest.windows import Windows
from tests.support.telemetry import at, log, of

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def words(rng: random.Random, count: int) -> str:
    """Return words that no other line has."""
    return " ".join("".join(rng.choices(LETTERS, k=8)) for _ in range(count))


HOSTILE = {
    "words": lambda rng: words(rng, 7),
    "one beginning": lambda rng: f"order was {words(rng, 7)}",
    "endless": lambda rng: words(rng, 300),
    "json": lambda rng: "{" + ",".join(f'"{words(rng, 1)}":"{words(rng, 1)}"' for _ in range(20)) + "}",
    "traces": lambda rng: f"failed\na.{words(rng, 1)}Error: x\n\tat a.B.c(B.java:1)",
    "keys": lambda rng: " ".join(f"{words(rng, 1)}={n}" for n in range(6)),
    "glued": lambda rng: " ".join(f"{word}{n}" for n, word in enumerate(words(rng, 5).split())),
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_endless_statements_are_bounded_and_counted(kind: str) -> None:
    """At the limit nothing grows any more: templates, clusters, forms, state; what overflows is counted."""
    rng = random.Random(7)
    templates = Templates(limit=60)
    calm = templates.assign("e", "s", "order 7 was paid")
    sizes = []
    for _ in range(3):
        for _ in range(400):
            templates.assign("e", "s", HOSTILE[kind](rng))
        sizes.append((len(templates.dump()), len(templates.of("e", "s").births)))
    # The count itself takes a byte or two more.
    assert sizes[2][0] <= sizes[1][0] + 8
    assert sizes[2][1] == sizes[1][1] <= 60
    assert len(templates) <= 60
    assert templates.overflowed > 0
    assert templates.assign("e", "s", "order 8 was paid") == calm
    assert templates.assign("e", "s", HOSTILE[kind](rng)).template == OVERFLOW


def test_what_is_remembered_of_lines_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many shapes there are, so many are kept, and answers stay the same."""
    monkeypatch.setattr("ingest.templates.miner._ENTRIES", 50)
    rng = random.Random(7)
    templates, slow = Templates(limit=30), Templates(limit=30, remember=False)
    lines = [words(rng, 4) for _ in range(300)]
    assert [templates.assign("e", "s", line) for line in lines] == [
        slow.assign("e", "s", line) for line in lines
    ]
    miner = templates.of("e", "s")
    assert max(len(miner._shapes), len(miner._texts), len(miner._unsure)) <= 50


def test_the_limit_is_told_by_reason() -> None:
    """`template_limit` counts the lines, and their window holds them under one template."""
    windows = Windows(Templates(limit=5))
    rng = random.Random(7)
    for n in range(40):
        windows.add(log(at(n / 10), words(rng, 6), offset=n), partition=("logs", 0), wall=at(n / 10))
    (summary,) = of(windows.flush())
    overflow = next(one for one in summary.templates if one.template == OVERFLOW)
    assert windows.counts["template_limit"] == overflow.count == 35
    assert summary.lines == 40


def test_a_line_without_end_is_known_by_its_beginning() -> None:
    """Words past the most that are looked at are one mask."""
    masked = mask(" ".join(f"{a}{b}" for a in LETTERS for b in LETTERS))
    assert len(masked.split()) == MAX_WORDS + 1
    assert masked.endswith(" <more>")


@settings(max_examples=80, deadline=None)
@given(
    lines=st.lists(
        st.lists(st.sampled_from(["up", "a", "b", "c", "d", "7"]), min_size=1, max_size=9).map(" ".join),
        max_size=80,
    )
)
def test_the_nearest_cluster_is_the_one_that_drain3_finds(lines: list[str]) -> None:
    """Looking only at clusters that may be alike changes no answer."""
    with mock.patch.object(nearest, "FEW", 0):
        quick = Templates()
        found = [quick.assign("e", "s", line) for line in lines]
    with mock.patch.object(nearest, "FEW", 10**9):
        whole = Templates()
        assert found == [whole.assign("e", "s", line) for line in lines]
    assert quick.dump() == whole.dump()
