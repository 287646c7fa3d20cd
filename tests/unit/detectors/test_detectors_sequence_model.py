"""Keys of a service: when one is judged, what is sudden, and how much is kept."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec

from detectors.sequence_model import FADE_AT, MAX_KEYS, MINIMUM_KEYS, SequenceModel, Verdict
from ingest.record import SECOND, Nanos

_USUAL = {"open": 1, "write": 3, "close": 1}
_LATER: Nanos = 3600 * SECOND


def _learned(keys: int = 400, seed: int = 1) -> tuple[SequenceModel, Nanos]:
    """Return a model that has seen so many ordinary keys, one every ten seconds, and the time after them."""
    rng, model = random.Random(seed), SequenceModel()
    for number in range(keys):
        counts = {**_USUAL, **({"serve": rng.randint(1, 9)} if rng.random() < 0.5 else {})}
        model.add(f"k{number}", counts, number * 10 * SECOND)
        list(model.settle(number * 10 * SECOND))
        model.turn(number * 10 * SECOND)
    return model, keys * 10 * SECOND


def _judged(model: SequenceModel, name: str, counts: Mapping[str, int], end: Nanos) -> Verdict:
    model.add(name, counts, end)
    return next(one for one in model.settle(end + _LATER) if one.key == name)


def test_a_key_is_judged_once_it_paused_and_again_when_it_spoke_again() -> None:
    """Half written it is odd only if it stays so; what comes later counts with what was."""
    model, end = _learned()
    model.add("slow", {"open": 1, "write": 3}, end)
    assert [one for one in model.settle(end + 10 * SECOND) if one.key == "slow"] == []
    model.add("slow", {"close": 1}, end + 20 * SECOND)
    (verdict,) = (one for one in model.settle(end + 120 * SECOND) if one.key == "slow")
    assert not verdict.odd
    assert verdict.why is None
    model.add("slow", {"refuse": 1}, end + 130 * SECOND)
    (again,) = (one for one in model.settle(end + _LATER) if one.key == "slow")
    assert again.odd
    assert again.why is not None
    assert again.why.template == "refuse"


def test_nothing_is_judged_before_enough_is_known_and_then_all_is() -> None:
    """The first keys wait; an odd one among them is found once there are enough to tell."""
    model = SequenceModel()
    model.add("odd", {"open": 1}, SECOND)
    for number in range(MINIMUM_KEYS - 2):
        model.add(f"k{number}", _USUAL, SECOND)
    assert list(model.settle(_LATER)) == []
    model.add("last", _USUAL, SECOND)
    assert [one.key for one in model.settle(_LATER) if one.odd] == ["odd"]


def test_what_becomes_common_is_no_longer_odd_but_sudden_until_it_was_so_for_a_while() -> None:
    """Of a course that many keys take all at once the first are odd; the others are sudden."""
    model, end = _learned()
    verdicts = [_judged(model, f"n{number}", {**_USUAL, "new": 1}, end) for number in range(40)]
    assert verdicts[0].odd
    assert not verdicts[-1].odd
    assert all(verdict.sudden for verdict in verdicts)
    for minutes in (11, 22):
        model.turn(end + minutes * 60 * SECOND)
    late = _judged(model, "late", {**_USUAL, "new": 1}, end + 23 * 60 * SECOND)
    assert not late.odd
    assert not late.sudden


def test_what_was_accepted_is_not_sudden() -> None:
    """Whoever reported long enough makes the present the past at once."""
    model, end = _learned()
    for number in range(40):
        _judged(model, f"n{number}", {**_USUAL, "new": 1}, end)
    model.accept()
    assert not _judged(model, "after", {**_USUAL, "new": 1}, end).sudden


def test_patience_follows_the_pauses_of_the_keys() -> None:
    """Where keys pause for minutes, one that paused for a minute is not judged yet."""
    quick, slow = SequenceModel(), SequenceModel()
    for number in range(50):
        for model, pause in ((quick, 1), (slow, 200)):
            model.add(f"k{number}", {"open": 1}, SECOND)
            model.add(f"k{number}", {"close": 1}, SECOND + pause * SECOND)
    assert quick.patience() < 60 * SECOND < 200 * SECOND < slow.patience()


def test_lines_that_come_late_do_not_turn_time_back() -> None:
    """A window that is older than the key's latest adds to its counts and leaves its pause alone."""
    model, end = _learned()
    model.add("late", {"open": 1, "write": 3}, end)
    model.add("late", {"close": 1}, end - 600 * SECOND)
    assert model.live["late"].last == end
    assert [one for one in model.settle(end + 10 * SECOND) if one.key == "late"] == []
    (verdict,) = (one for one in model.settle(end + _LATER) if one.key == "late")
    assert not verdict.odd


def test_keys_are_bounded_and_those_that_were_judged_go_first() -> None:
    """Keys without end leave a state of the same size; what is dropped unjudged is counted."""
    model = SequenceModel()
    for number in range(MAX_KEYS + 3_000):
        model.add(f"k{number}", {f"t{number % 700}": number % 9 + 1}, number * SECOND)
        model.bound()
    assert len(model.live) + len(model.judged) == MAX_KEYS
    assert model.dropped == 3_000
    list(model.settle((MAX_KEYS + 2_000) * SECOND))
    judged, dropped = len(model.judged), model.dropped
    assert judged > 500
    model.bound(MAX_KEYS - 500)
    assert len(model.judged) == judged - 500
    assert model.dropped == dropped


def test_keys_that_are_over_for_good_are_forgotten() -> None:
    """Where keys live for seconds, those of an hour ago are kept no longer."""
    model = SequenceModel()
    for number in range(1_000):
        model.add(f"k{number}", _USUAL, number * 10 * SECOND)
        list(model.settle(number * 10 * SECOND))
    assert len(model.live) + len(model.judged) < 200
    assert model.known.keys == 1_000


def test_a_template_that_goes_by_another_name_makes_no_key_odd() -> None:
    """Neither those that were written before nor those after, and not those half way; the grave stays so."""
    model, end = _learned()
    model.grave = {"close", "refuse"}
    model.add("half", {"open": 1, "write": 3}, end)
    model.rename("open", "begin")
    model.rename("close", "end")
    model.add("half", {"end": 1}, end)
    model.add("new", {"begin": 1, "write": 3, "end": 1}, end)
    verdicts = {one.key: one for one in model.settle(end + _LATER)}
    assert not verdicts["half"].odd
    assert not verdicts["new"].odd
    assert not verdicts["new"].sudden
    assert model.grave == {"end", "refuse"}
    assert _judged(model, "x", {"open": 1, "write": 3, "close": 1}, end).odd


def test_what_was_learnt_fades() -> None:
    """After very many keys all weighs half, and the shares are as before."""
    model = SequenceModel()
    for number in range(int(FADE_AT) + 1):
        model.add(f"k{number}", {"open": 1}, number * SECOND)
        model.bound(100)
    assert model.known.keys == (FADE_AT + 1) / 2
    assert model.known.having["open"] == model.known.keys


def test_the_model_comes_back_from_bytes() -> None:
    """What was learnt survives as MessagePack and goes on identically."""
    model, end = _learned()
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(model), type=SequenceModel)
    counts = {**_USUAL, "refuse": 1}
    assert _judged(model, "x", counts, end) == _judged(again, "x", counts, end)
    assert msgspec.msgpack.encode(model) == msgspec.msgpack.encode(again)
