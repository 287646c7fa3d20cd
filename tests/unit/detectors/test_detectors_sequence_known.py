"""What is usual among sequences: rare templates, unusual counts, lacks, and broken invariants."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.sequence_known import MAX_PAIRED, MAX_TEMPLATES, Deviation, Known

_USUAL = {"open": 1, "write": 3, "close": 1}


def _count(known: Known, counts: Mapping[str, int]) -> None:
    known.keys += 1.0
    had: dict[str, int] = {}
    for name, count in counts.items():
        known.count(had, name, 0, count)
        had[name] = count


def _of(keys: Sequence[Mapping[str, int]]) -> Known:
    known = Known()
    for counts in keys:
        _count(known, counts)
    return known


def _told(known: Known, counts: Mapping[str, int], grave: frozenset[str] = frozenset()) -> Deviation | None:
    """Count a key and return what is rare about it."""
    _count(known, counts)
    return known.deviation(counts, grave)


def _reading() -> Known:
    """Keys that are all written alike and read any number of times, mostly not at all."""
    rng = random.Random(1)
    return _of(
        [{**_USUAL, **({"read": rng.randint(1, 9)} if rng.random() < 0.3 else {})} for _ in range(1_000)]
    )


def test_what_comes_at_random_is_not_rare_in_any_number() -> None:
    """A template with many different counts says nothing, however few keys have just this one."""
    known = _reading()
    assert all(_told(known, {**_USUAL, "read": count}) is None for count in range(1, 11))
    assert _told(known, _USUAL) is None


@pytest.mark.parametrize(
    ("counts", "template", "count"),
    [
        ({**_USUAL, "refuse": 1}, "refuse", 1),
        ({"open": 1, "write": 3}, "close", 0),
        ({**_USUAL, "write": 4}, "write", 4),
        ({**_USUAL, "write": 2}, "write", 2),
    ],
    ids=["new", "lacking", "more", "less"],
)
def test_what_few_do_is_told_by_its_template(counts: Mapping[str, int], template: str, count: int) -> None:
    """One more kind of line, one missing, and one more or less often than ever."""
    found = _told(_reading(), counts)
    assert found is not None
    assert (found.template, found.count, found.given) == (template, count, "")
    assert found.score > 1.0


def test_the_rarer_the_higher() -> None:
    """The score is 1 where something is just rare and grows as fewer keys have it."""
    scores = []
    for number in (1, 4, 9):
        known = _of([*[_USUAL] * (1_000 - number), *[{**_USUAL, "refuse": 1}] * number])
        found = known.deviation({**_USUAL, "refuse": 1}, ())
        assert found is not None
        scores.append(found.score)
    assert scores[0] > scores[1] > scores[2] > 1.0
    common = _of([*[_USUAL] * 980, *[{**_USUAL, "refuse": 1}] * 20])
    assert common.deviation({**_USUAL, "refuse": 1}, ()) is None


def test_a_failure_is_rare_for_longer() -> None:
    """What three of a hundred keys have is odd where it speaks of failure, and else no longer."""
    known = _of([*[_USUAL] * 970, *[{**_USUAL, "line": 1}] * 30])
    assert known.deviation({**_USUAL, "line": 1}, ()) is None
    found = known.deviation({**_USUAL, "line": 1}, {"line"})
    assert found is not None
    assert found.template == "line"


def test_an_invariant_between_kinds_of_sequences_can_be_broken() -> None:
    """Both courses are common; a start of the one without its end, or with the other's, is not."""
    reads, writes = {"get": 1, "sent": 1}, {"put": 1, "stored": 1}
    known = _of([reads, writes] * 500)
    lacking = _told(known, {"get": 1})
    assert lacking is not None
    assert (lacking.template, lacking.count, lacking.given) == ("sent", 0, "get")
    mixed = _told(known, {"get": 1, "sent": 1, "stored": 1})
    assert mixed is not None
    assert {mixed.template, mixed.given} & {"get", "sent"}
    assert mixed.given
    assert known.deviation(reads, ()) is None
    assert known.deviation(writes, ()) is None


def test_templates_without_any_bond_break_none() -> None:
    """Two rather rare lines that meet by chance once are no broken invariant."""
    rng = random.Random(2)
    known = _of(
        [{**_USUAL, **{name: 1 for name in ("one", "two") if rng.random() < 0.05}} for _ in range(2_000)]
    )
    assert known.deviation({**_USUAL, "one": 1, "two": 1}, ()) is None


def test_one_line_short_is_no_wonder_where_lines_get_lost() -> None:
    """What lost lines explain is not odd; two lines short is, and so is a lack that many more keys have."""
    known = _of([*[_USUAL] * 980, *[{"open": 1, "write": 3}] * 10, *[{"open": 1, "write": 2}] * 10])
    short, shorter = {"open": 1, "write": 3}, {"open": 1, "write": 2}
    assert known.deviation(short, ()) is not None
    assert known.deviation(short, (), lost=0.0001) is not None
    assert known.deviation(short, (), lost=0.005) is None
    assert known.deviation(shorter, (), lost=0.005) is not None
    assert known.deviation({**_USUAL, "refuse": 1}, (), lost=0.005) is not None


def test_a_copy_stays_as_it_is() -> None:
    """What is learnt later changes the present only."""
    known = _of([_USUAL] * 300)
    before = known.copy()
    for _ in range(100):
        _count(known, {**_USUAL, "new": 1})
    assert known.deviation({**_USUAL, "new": 1}, ()) is None
    then = before.deviation({**_USUAL, "new": 1}, ())
    assert then is not None
    assert then.template == "new"


def test_fading_keeps_shares_and_forgets_what_is_gone() -> None:
    """Half of everything, so the same verdicts; a template that one key had once is known no more."""
    known = _of([*[_USUAL] * 400, {**_USUAL, "once": 1}])
    known.fade()
    assert "once" not in known.having
    assert "once" not in known.counts
    assert all("once" not in others for others in known.together.values())
    assert known.deviation(_USUAL, ()) is None
    assert known.deviation({"open": 1, "write": 3}, ()) is not None


def test_templates_and_pairs_are_bounded() -> None:
    """There is room for so many templates and so many paired ones; the others are refused, and said to be."""
    known = Known()
    known.keys = 1.0
    had: dict[str, int] = {}
    taken = []
    for number in range(MAX_TEMPLATES + 50):
        taken.append(known.count(had, f"t{number}", 0, 1))
        had[f"t{number}"] = 1
    assert taken == [True] * MAX_TEMPLATES + [False] * 50
    assert len(known.counts) == len(known.having) == MAX_TEMPLATES
    assert len(known.together) == MAX_PAIRED
    assert all(len(others) < MAX_PAIRED for others in known.together.values())


def test_a_renamed_template_is_the_same_as_if_it_had_always_had_the_name() -> None:
    """Counts, those that have it and pairs move along; an unknown name changes nothing."""
    known = _of([{"open": 1, "old": 2}] * 300)
    known.rename("old", "now")
    known.rename("never", "seen")
    assert known == _of([{"open": 1, "now": 2}] * 300)


def test_two_names_become_one() -> None:
    """Courses that differed by the name only are one, and neither is rare nor lacks anything."""
    known = _of([{"open": 1, "one": 1}, {"open": 1, "two": 1}] * 200)
    known.rename("two", "one")
    assert known.having == {"open": 400.0, "one": 400.0}
    assert known.together == {"open": {"one": 400.0}, "one": {"open": 400.0}}
    assert known.deviation({"open": 1, "one": 1}, ()) is None
    assert known.deviation({"open": 1}, ()) is not None


_KEYS = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 10), max_size=6), max_size=60)


@given(_KEYS)
def test_numbers_add_up(keys: list[dict[str, int]]) -> None:
    """However keys look: a template's counts sum up to those that have it, and pairs are symmetric."""
    known = _of(keys)
    for name, having in known.having.items():
        assert having == sum(known.counts[name].values()) == sum(name in counts for counts in keys)
        for other, both in known.together[name].items():
            assert both == known.together[other][name] == sum(name in one and other in one for one in keys)


@given(_KEYS)
def test_it_comes_back_from_bytes(keys: list[dict[str, int]]) -> None:
    """What was learnt survives as MessagePack and judges alike."""
    known = _of([*keys, *[_USUAL] * 10])
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=Known)
    assert again == known
    assert [again.deviation(one, ()) for one in keys] == [known.deviation(one, ()) for one in keys]
