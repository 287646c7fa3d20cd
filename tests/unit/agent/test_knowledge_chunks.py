"""Chunks, their ids, and hits made of them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.analysis import Mechanism
from agent.knowledge.chunks import LONGEST_CHUNK, chunks_of, split, spoken
from agent.knowledge.grouping import group, ordered_steps, snippet
from agent.knowledge.load import parse_runbook
from agent.knowledge.port import Hit
from agent.knowledge.runbook import Runbook
from agent.knowledge.stored import StoredChunk

TEXT = """---
id: a
title: High load
alerts: [NodeLoadHigh]
symptoms: [load average]
mechanisms: [cpu]
---

## Meaning

Too much work.

## Diagnosis

1. Look.
2. Look closer.
"""


def book(text: str = TEXT) -> Runbook:
    """Return a runbook."""
    return parse_runbook(text, "a.md")[0]


def test_ids_repeat_and_change_with_content_only() -> None:
    """Same content, same ids; a reworded section changes its own id alone, a new title changes all."""
    before = [chunk.id for chunk in chunks_of(book())]
    assert [chunk.id for chunk in chunks_of(book())] == before
    reworded = [chunk.id for chunk in chunks_of(book(TEXT.replace("Too much", "Far too much")))]
    assert [old == new for old, new in zip(before, reworded, strict=True)] == [False, True]
    retitled = [chunk.id for chunk in chunks_of(replace(book(), title="Other"))]
    assert not set(before) & set(retitled)


def test_every_chunk_knows_its_runbook() -> None:
    """Names, alerts as words, and symptoms stand before each section's text."""
    for chunk in chunks_of(book()):
        assert chunk.dense_text().startswith("High load, Node Load High. load average.")
        assert chunk.section.heading in chunk.dense_text()


def test_alert_names_are_spoken() -> None:
    """Camel and snake case become words."""
    assert spoken("KubePodCrashLooping") == "Kube Pod Crash Looping"
    assert spoken("HTTPErrors_high") == "HTTP Errors high"


def test_long_section_is_split_and_its_steps_come_once() -> None:
    """Parts cover the text; only the first carries the steps."""
    steps = "\n".join(f"{n}. {'word ' * 60}\n" for n in range(1, 9))
    chunks = chunks_of(book(f"# T\n\n## Diagnosis\n\n{steps}"))
    assert len(chunks) > 1
    assert [len(chunk.steps) for chunk in chunks] == [8] + [0] * (len(chunks) - 1)


def test_a_step_stays_with_its_command() -> None:
    """A piece never begins with an indented or fenced block that fits its paragraph."""
    steps = "\n\n".join(f"{n}. Look.\n\n   ```sh\n   {'x' * 300}\n   ```" for n in range(1, 9))
    assert all(piece.lstrip()[0].isdigit() for piece in split(steps))


@given(st.text(alphabet="ab \n#`", max_size=4_000))
def test_split_loses_nothing_but_blanks(text: str) -> None:
    """Pieces are bounded and hold every character that is not blank, in order."""
    pieces = split(text)
    assert all(0 < len(piece) <= LONGEST_CHUNK for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())


def stored(runbook: str, position: int = 0, mechanism: Mechanism = Mechanism.CPU) -> StoredChunk:
    """Return a stored chunk of a runbook of that id."""
    named = replace(book(), id=runbook, mechanisms=(mechanism,))
    return StoredChunk.of(chunks_of(named)[position])


def names(hits: tuple[Hit, ...]) -> list[str]:
    """Return the runbooks' ids."""
    return [hit.runbook for hit in hits]


def test_hits_are_one_a_runbook_with_its_best_section() -> None:
    """A runbook comes once, by the section that is found best over both rankings; the others are named."""
    rankings = [[stored("a"), stored("a", 1), stored("b")], [stored("a", 1), stored("b")]]
    first, second = group(rankings, limit=5, prefer=())
    assert (first.runbook, first.section, first.also) == ("a", "Diagnosis", ("Meaning",))
    assert (second.runbook, second.section, second.also) == ("b", "Meaning", ())
    assert first.score == 2 / 61
    assert second.score == 2 / 62


def test_halves_add_up_over_different_sections() -> None:
    """Found second by words in one section and by meaning in another beats first in one half alone."""
    rankings = [[stored("x"), stored("a")], [stored("y"), stored("a", 1)]]
    assert names(group(rankings, limit=3, prefer=())) == ["a", "x", "y"]


def test_many_chunks_of_one_runbook_take_one_place() -> None:
    """A long runbook does not push the next one down."""
    crowded = group([[stored("a"), stored("a", 1), stored("b")]], limit=2, prefer=())
    assert crowded[1].score == 1 / 62


def test_ties_go_by_id_and_preference_breaks_them() -> None:
    """Equal scores have a fixed order, unless one serves the suspected mechanism."""
    rankings = [[stored("b", mechanism=Mechanism.DISK), stored("a")], [stored("a"), stored("b")]]
    assert names(group(rankings, limit=5, prefer=())) == ["a", "b"]
    rankings[1][1] = stored("b", mechanism=Mechanism.DISK)
    assert names(group(rankings, limit=5, prefer=(Mechanism.DISK,))) == ["b", "a"]


def test_preference_does_not_beat_a_far_better_match() -> None:
    """A suspicion is worth some places, not everything."""
    ahead = [stored(f"n{number:02}") for number in range(20)]
    hits = group([[*ahead, stored("z", mechanism=Mechanism.DISK)]], limit=30, prefer=(Mechanism.DISK,))
    assert names(hits)[0] == "n00"
    assert 10 < names(hits).index("z") < 20


def test_snippet_is_prose_on_one_line() -> None:
    """Code and risk lines are left out, and it is bounded."""
    text = "1. **Look** at\n   it.\n\n   **Risk:** read-only\n\n   ```sh\n   kubectl get\n   ```\n\n2. Then."
    assert snippet(text) == "1. Look at it. 2. Then."
    assert len(snippet("word " * 500)) <= 240


def test_steps_of_stored_chunks_are_in_written_order() -> None:
    """Order of arrival does not matter."""
    assert [one.step.text for one in ordered_steps([stored("a", 1), stored("a")])] == [
        "Look.",
        "Look closer.",
    ]
