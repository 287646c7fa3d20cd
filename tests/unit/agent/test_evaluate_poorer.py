"""Cases with one kind of telemetry hidden: what is left, and what confidence learns from them."""

from __future__ import annotations

import dataclasses

from agent.evaluate.calibrate import fit
from agent.evaluate.poorer import Poorer, poorer_sides
from agent.suspects import Sides, gather_findings, rank_suspects
from tests.support.shop import ONSET, windows


def sides() -> Sides:
    return Sides.of(
        baseline=tuple(w for w in windows() if w.start < ONSET),
        incident=tuple(w for w in windows() if w.start >= ONSET),
    )


def test_each_kind_is_hidden_once_and_said_to_be_missing() -> None:
    """Three kinds of telemetry give three poorer comparisons, each of which says what it lacks."""
    assert [less.missing() for less in poorer_sides(sides())] == [
        ("no logs at all",),
        ("no spans at all",),
        ("no metrics at all",),
    ]


def test_what_is_hidden_is_as_if_it_had_never_been_sent() -> None:
    """Hiding a kind afterwards ranks as leaving it out of the windows does."""
    bare = tuple(dataclasses.replace(w, operations=(), calls=()) for w in windows())
    sent = Sides.of(
        baseline=tuple(w for w in bare if w.start < ONSET),
        incident=tuple(w for w in bare if w.start >= ONSET),
    )
    hidden = list(poorer_sides(sides()))[1]

    def ranked(of: Sides) -> list[tuple[str, float]]:
        found = rank_suspects(gather_findings(of), edges=of.edges(), missing=of.missing())
        return [(suspect.service, suspect.score) for suspect in found.suspects]

    assert ranked(hidden) == ranked(sent)


def test_the_only_kind_of_telemetry_is_not_hidden() -> None:
    """Where there is nothing else, nothing would be left to rank by."""
    logs_alone = next(iter(poorer_sides(next(iter(poorer_sides(sides()))))))
    assert list(poorer_sides(logs_alone)) == []


def test_confidence_is_learned_from_poorer_cases_too() -> None:
    """Right cases alone cannot tell weak from strong; with their poorer selves, strength counts."""
    strong = [
        Poorer(
            system="shop",
            place=1,
            features={"margin": 0.5, "strength": 0.9},
            poorer=(Poorer(system="shop", place=2, features={"margin": 0.5, "strength": 0.2}),),
        )
        for _ in range(20)
    ]
    learned = fit(strong)
    assert learned.weights["strength"] > 1
    weak = learned.confidence({"margin": 0.5, "strength": 0.2}, 0)
    assert weak < 0.5 < learned.confidence({"margin": 0.5, "strength": 0.9}, 0)
    assert learned.fitted_on == {"shop": 20}
