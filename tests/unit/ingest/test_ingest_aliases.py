"""Ids over restarts and workers: what is one template has one id, where the windows of workers meet."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.naming import Naming
from ingest.record import SECOND
from ingest.summary import WindowSummary
from ingest.templates import Templates
from ingest.windows import Windows
from tests.support.telemetry import log, of
from tests.support.unseen import SYSTEMS, lines_of

T0 = 1_700_000_000 * SECOND
SERVICE = ("default", "cart")


def worker(lines: list[str]) -> Templates:
    """Return what one process has learned of the lines, in their order."""
    templates = Templates()
    for line in lines:
        templates.assign("e", "s", line)
    return templates


def known_as(templates: Templates, lines: list[str]) -> list[str]:
    """Return the ids that lines go by in one process, now that it knows them."""
    given_out = [templates.assign("e", "s", line).template_id for line in lines]
    return [templates.canonical("e", "s", template_id) for template_id in given_out]


def told(lines: list[str]) -> tuple[Windows, list[WindowSummary]]:
    """Return an ingest process that has read the lines, a second apart, and its partial windows."""
    windows, summaries = Windows(Templates(), whole=False), []
    for number, line in enumerate(lines):
        at = T0 + number * SECOND
        windows.add(log(at, line, offset=number), partition=("logs", 0), wall=at)
        summaries += of(windows.advance(at))
    return windows, [*summaries, *of(windows.flush())]


def named(naming: Naming, windows: Windows, lines: Iterable[str]) -> list[str]:
    """Return what detectors call the lines of an ingest process."""
    templates = windows._collector.templates
    given_out = [templates.assign(*SERVICE, line).template_id for line in lines]
    held = [templates.canonical(*SERVICE, template_id) for template_id in given_out]
    return [naming._templates.canonical(*SERVICE, naming._ids[SERVICE][one]) for one in held]


@pytest.mark.parametrize("system", sorted(SYSTEMS))
@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_workers_that_met_lines_in_another_order_agree(system: str, seed: int) -> None:
    """Where their windows meet every line has one id, and no two templates of both became one."""
    lines = [line for line, _ in lines_of(system, seed, 120)]
    first, one = told(lines)
    second, other = told(random.Random(seed).sample(lines, len(lines)))
    naming = Naming(Templates())
    for summary in sorted([*one, *other], key=lambda summary: summary.start):
        naming.named(summary)
    distinct = sorted(set(lines))
    here, there = named(naming, first, distinct), named(naming, second, distinct)
    assert here == there
    learned = [set(known_as(windows._collector.templates, distinct)) for windows in (first, second)]
    assert len(set(here)) >= min(map(len, learned))


def test_lines_whose_values_are_masked_need_no_exchange() -> None:
    """Where nothing but masked values varies, ids agree whatever each process saw, and how much of it."""
    lines = [f"order {n} of 10.0.0.{n} took {n}.5 ms" for n in range(20)] + [
        "queue is full",
        "queue is empty",
    ]
    first, second = worker(lines), worker(lines[:10:-1])
    assert known_as(first, lines) == known_as(second, lines)


def test_workers_that_saw_other_words_agree_on_what_they_made_of_them() -> None:
    """Neither saw a word of the other's, but both found the place to hold values."""
    users = (["ann", "bob", "cid", "dan", "eve", "fay"], ["gus", "hal", "ida", "jon", "kim", "leo"])
    text = "user {} logged in from the office today"
    first, second = (told([text.format(name) for name in names]) for names in users)
    naming = Naming(Templates())
    for summary in (*first[1], *second[1]):
        naming.named(summary)
    here, there = [summaries[0].templates[0].template_id for summaries in (first[1], second[1])]
    assert here != there
    seen = {
        name for windows in (first[0], second[0]) for name in named(naming, windows, [text.format("zoe")])
    }
    assert len(seen) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), system=st.sampled_from(sorted(SYSTEMS)), stop=st.integers(0, 120))
def test_a_restart_changes_no_id_and_no_name(seed: int, system: str, stop: int) -> None:
    """With a dump and a load between two lines all ids and aliases are those of no interruption."""
    lines = [line for line, _ in lines_of(system, seed, 120)]
    whole, resumed = worker(lines[:stop]), Templates()
    resumed.load(whole.dump())
    assert known_as(resumed, lines[stop:]) == known_as(whole, lines[stop:])
    if lines[:stop] or lines[stop:]:
        assert resumed.aliases("e", "s") == whole.aliases("e", "s")
