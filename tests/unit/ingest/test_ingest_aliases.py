"""Ids over restarts and workers: what is one template has one id, once workers exchange names."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.templates import Templates, united
from tests.support.unseen import SYSTEMS, lines_of


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


@pytest.mark.parametrize("system", sorted(SYSTEMS))
@settings(max_examples=3, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_workers_that_exchange_names_agree(system: str, seed: int) -> None:
    """The same lines in another order: every line has one id over both, and no two templates became one."""
    lines = [line for line, _ in lines_of(system, seed, 250)]
    first, second = worker(lines), worker(random.Random(seed).sample(lines, len(lines)))
    one_id = united([first.names("e", "s"), second.names("e", "s")])
    distinct = sorted(set(lines))
    here, there = known_as(first, distinct), known_as(second, distinct)
    assert [one_id[name] for name in here] == [one_id[name] for name in there]
    assert len({one_id[name] for name in here}) >= min(len(set(here)), len(set(there)))


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
    first = worker(
        [
            f"user {name} logged in from the office today"
            for name in ["ann", "bob", "cid", "dan", "eve", "fay"]
        ]
    )
    second = worker(
        [
            f"user {name} logged in from the office today"
            for name in ["gus", "hal", "ida", "jon", "kim", "leo"]
        ]
    )
    line = "user zoe logged in from the office today"
    (here,), (there,) = known_as(first, [line]), known_as(second, [line])
    one_id = united([first.names("e", "s"), second.names("e", "s")])
    assert here != there
    assert one_id[here] == one_id[there]


@settings(max_examples=60, deadline=None)
@given(
    maps=st.lists(
        st.dictionaries(st.sampled_from("abcdefg"), st.sampled_from("abcdefg"), max_size=5), max_size=4
    ),
    seed=st.integers(0, 99),
)
def test_the_order_of_the_exchange_does_not_matter(maps: list[dict[str, str]], seed: int) -> None:
    """Any order of maps gives the same ids, each is its own name's, and what a map joins is one."""
    found = united(maps)
    assert united(random.Random(seed).sample(maps, len(maps))) == found
    assert all(found[one] == one for one in found.values())
    assert all(found[name] == found[canonical] for known in maps for name, canonical in known.items())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), system=st.sampled_from(sorted(SYSTEMS)), stop=st.integers(0, 120))
def test_a_restart_changes_no_id_and_no_name(seed: int, system: str, stop: int) -> None:
    """With a dump and a load between two lines all ids, aliases and names are those of no interruption."""
    lines = [line for line, _ in lines_of(system, seed, 120)]
    whole, resumed = worker(lines[:stop]), Templates()
    resumed.load(whole.dump())
    assert known_as(resumed, lines[stop:]) == known_as(whole, lines[stop:])
    if lines[:stop] or lines[stop:]:
        assert resumed.aliases("e", "s") == whole.aliases("e", "s")
        assert resumed.names("e", "s") == whole.names("e", "s")
