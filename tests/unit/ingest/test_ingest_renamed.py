"""Windows tell which template ids are aliases from now on, so that older ids can be followed."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.naming import Naming
from ingest.summary import WindowSummary
from ingest.templates import Templates
from ingest.templates.history import followed, known_templates
from ingest.windows import Windows
from tests.support.telemetry import at, log, of
from tests.support.unseen import SYSTEMS, lines_of


def windows_of(bodies: list[str], *, a_window: int = 20) -> tuple[list[WindowSummary], Templates]:
    """Return windows of so many lines each, and the templates as they are in the end."""
    templates = Templates()
    windows = Windows(templates)
    for number, body in enumerate(bodies):
        time = at(number // a_window * 10 + 1)
        windows.add(log(time, body, offset=number), partition=("logs", 0), wall=time)
    return of(windows.flush()), templates


@settings(max_examples=25, deadline=None)
@given(system=st.sampled_from(sorted(SYSTEMS)), seed=st.integers(0, 999), a_window=st.integers(3, 80))
def test_any_id_of_any_window_can_be_followed(system: str, seed: int, a_window: int) -> None:
    """By windows alone every id that one of them has leads to the one that it goes by at last."""
    found, templates = windows_of([line for line, _ in lines_of(system, seed, 200)], a_window=a_window)
    names = followed(found)
    for window in found:
        for counted in window.templates:
            last = templates.canonical("default", "cart", counted.template_id)
            assert names.get(counted.template_id, counted.template_id) == last
    known = known_templates(found)
    assert sum(one.lines for one in known) == 200
    assert len(known) == len(templates)


def test_a_window_names_what_changed_in_it_alone() -> None:
    """Ids are told once, in the window in which they became aliases."""
    bodies = [f"user {name} logged in from the office today" for name in ("ann", "bob", "cid", "dan", "eve")]
    found, templates = windows_of([*bodies, *bodies], a_window=4)
    assert [bool(window.renamed) for window in found] == [False, True, False]
    assert dict(found[1].renamed).items() <= templates.aliases("default", "cart").items()


def test_where_processes_meet_only_common_names_are_told() -> None:
    """What a process called its templates is replaced by what they are called here."""
    bodies = [f"user {name} logged in from the office today" for name in ("ann", "bob", "cid", "dan", "eve")]
    found, _ = windows_of([*bodies, *bodies], a_window=4)
    templates = Templates()
    naming = Naming(templates)
    named = [naming.named(window) for window in found]
    names = followed(named)
    ids = {counted.template_id for window in named for counted in window.templates}
    assert len({names.get(one, one) for one in ids}) == len(templates) == 1
