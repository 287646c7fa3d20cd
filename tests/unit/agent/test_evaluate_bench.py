"""The bench: ratios are what they say, its generated input is varied, both sides do the same work."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from agent.evaluate import generated
from agent.evaluate.bench import QUICK, Bench, ratio
from agent.evaluate.peers import MadLoop, PlainDrain
from ingest.templates import DEPTH, SIMILARITY, Templates


def test_quick_run_gives_every_ratio() -> None:
    """Each row has a positive ratio, names what it is against and says line length or batch size."""
    told: list[str] = []
    results = Bench(QUICK, on_row=told.append).run()
    assert [result.name for result in results] == told
    assert len(set(told)) == len(told)
    assert all(result.speed > 0 for result in results)
    assert all(result.against and any(map(str.isdigit, result.given)) for result in results)


def test_ratio_compares_the_best_rounds() -> None:
    """Items over time of each side's fastest round: ours 50 in 2 s, theirs 100 in 1 s."""
    now = 0.0
    seconds = {"ours": iter([4.0, 2.0, 5.0]), "raw": iter([1.0, 3.0, 2.0])}

    def side(name: str, items: int) -> Callable[[], Callable[[], int]]:
        def work() -> int:
            nonlocal now
            now += next(seconds[name])
            return items

        return lambda: work

    found = ratio(side("ours", 50), side("raw", 100), rounds=3, clock=lambda: now)
    assert found == pytest.approx(25 / 100)


def test_a_side_that_does_nothing_is_an_error() -> None:
    """Input that no longer fits must not look fast."""
    with pytest.raises(RuntimeError, match="did nothing"):
        ratio(lambda: lambda: 0, lambda: lambda: 1, rounds=1)


def test_both_template_sides_make_the_same_groups() -> None:
    """The comparison is about speed alone."""
    templates, plain = Templates(), PlainDrain(depth=DEPTH, similarity=SIMILARITY)
    bodies = generated.bodies(2_000)
    pairs = {(service, templates.assign("e", service, body).template_id, plain.assign(service, body))
             for service, body in bodies}  # fmt: skip
    ours = {(service, ours) for service, ours, _ in pairs}
    theirs = {(service, number) for service, _, number in pairs}
    assert len(pairs) == len(ours) == len(theirs)


def test_generated_telemetry_is_varied_and_repeats() -> None:
    """Few bodies are alike, the same seed gives the same, another seed does not."""
    bodies = generated.bodies(1_000)
    assert len(set(bodies)) > 800
    assert bodies == generated.bodies(1_000)
    assert bodies != generated.bodies(1_000, seed=99)
    lines = generated.json_lines(500)
    assert 150 < sum(map(len, lines)) / len(lines) < 250
    assert {"time", "level", "service", "message", "trace_id"} == set(json.loads(lines[0]))


def test_the_loop_scores_as_pyod_does() -> None:
    """Fitting now or before gives the same score, and a far value a far higher one."""
    loop = MadLoop([[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 20.0, 30.0, 40.0, 50.0]])
    assert loop.fit_and_score([3.0, 90.0]) == loop.score([3.0, 90.0])
    near, far = loop.score([3.0, 90.0])
    assert near == 0.0
    assert far == pytest.approx(0.6745 * 60 / 10, rel=1e-3)


def test_our_clusters_are_those_of_drain3() -> None:
    """What the template row compares does the same: line for line our cluster is plain Drain3's."""
    plain, templates = PlainDrain(depth=DEPTH, similarity=SIMILARITY), Templates()
    for service, body in generated.bodies(3_000):
        templates.assign("default", service, body)
        assert templates.of("default", service).group(body) == plain.assign(service, body)
