"""Templates: ids are stable, what is remembered changes nothing, state goes on as if never stopped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.templates import OVERFLOW, Templates

_WORDS = st.sampled_from(
    [
        "order",
        "paid",
        "user",
        "7",
        "db",
        "timeout",
        "to",
        "10.0.0.1",
        "<*>",
        "retry",
        "",
        "NEW",
        "DONE",
        "0x1f",
        "a7",
    ]
)
_BODIES = st.lists(st.lists(_WORDS, max_size=7).map(" ".join), max_size=60)
_USERS = ("ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal")


def _ids(templates: Templates, bodies: list[str]) -> list[str]:
    """Return what the ids of the bodies' templates are in the end."""
    given = [templates.assign("e", "s", body).template_id for body in bodies]
    return [templates.canonical("e", "s", template_id) for template_id in given]


def test_states_are_templates_of_their_own() -> None:
    """Lines that differ in one of few words are different statements, whatever their numbers."""
    templates = Templates()
    words = ("begin", "end", "begin", "end")
    ids = _ids(templates, [f"focus changed in layout {n} to {word} now" for n, word in enumerate(words)])
    assert len(set(ids)) == 2
    assert templates.text("e", "s", ids[1]) == "focus changed in layout <num> to end now"


def test_many_words_in_one_place_are_values() -> None:
    """From the fifth word on a place holds values: the oldest id stays, the others are its aliases."""
    templates = Templates()
    bodies = [f"user {user} logged in from the office network today" for user in _USERS]
    given = [templates.assign("e", "s", body).template_id for body in bodies]
    assert len(set(given)) == 4
    assert {templates.canonical("e", "s", one) for one in given} == {given[0]}
    aliases = templates.aliases("e", "s")
    assert set(given[1:4]) <= set(aliases)
    assert set(aliases.values()) == {given[0]}
    assert templates.merged == len(aliases)
    assert len(templates) == 1
    assert templates.text("e", "s", given[3]) == "user <*> logged in from the office network today"
    assert templates.assign("e", "s", bodies[0]).template_id == given[0]


def test_short_lines_that_differ_in_one_place_are_a_family() -> None:
    """What Drain3 holds apart, because little of it is equal, becomes one template as well."""
    templates = Templates()
    ids = _ids(templates, [f"removing {user}" for user in _USERS])
    assert set(ids) == {ids[0]}
    assert templates.assign("e", "s", "removing zoe").template_id == ids[0]
    assert templates.text("e", "s", ids[0]) == "removing <*>"


@pytest.mark.parametrize("place", ["first", "capitals"])
def test_first_words_and_capitals_are_states_for_longer(place: str) -> None:
    """Eight verbs or eight states are not yet values."""
    templates = Templates()
    bodies = [f"{u} (command 7)" if place == "first" else f"job state is {u.upper()} now" for u in _USERS]
    assert len(set(_ids(templates, bodies))) == 8


def test_errors_are_states_however_many_there_are() -> None:
    """The same statement with seven errors is seven templates: what broke is not a value."""
    templates = Templates()
    bodies = [f"cannot place the order now: {user.title()}Error" for user in _USERS]
    traces = [f"request failed\na.{user.title()}Exception: x\n\tat a.B.c(B.java:1)" for user in _USERS]
    assert len(set(_ids(templates, [*bodies, *traces]))) == 16


def test_words_partly_values_are_values_where_others_are() -> None:
    """A name glued to a number is the same place as a bare id, in whatever order they come."""
    bodies = ["[9] device vethcbb904379171 left the host", "[7] device 358f0916f6dc0a41 left the host"]
    for order in (bodies, bodies[::-1]):
        assert len(set(_ids(Templates(), ["[7] device a7 joined the host", *order]))) == 2


def test_kinds_of_values_do_not_tell_templates_apart() -> None:
    """A place that shows a number here and an id there is one place, in either order of words."""
    templates = Templates()
    ids = _ids(templates, ["iar 001061 dear 0244c22c", "iar 0010bc dear 17"])
    assert len(set(ids)) == 1
    assert templates.text("e", "s", ids[0]) == "iar <*> dear <*>"


def test_an_id_names_the_service_not_the_environment() -> None:
    """The same line of the same service has one id everywhere, of another service another."""
    templates = Templates()
    here = templates.assign("prod", "cart", "cache miss").template_id
    assert templates.assign("test", "cart", "cache miss").template_id == here
    assert templates.assign("prod", "shop", "cache miss").template_id != here
    assert Templates().assign("prod", "cart", "cache miss").template_id == here


def test_past_the_limit_lines_overflow_and_known_ones_do_not() -> None:
    """What fits no template goes to one overflow template and is counted; known lines keep theirs."""
    templates = Templates(limit=2)
    known = templates.assign("e", "s", "alpha beta")
    templates.assign("e", "s", "gamma delta")
    first, second = templates.assign("e", "s", "new thing here"), templates.assign("e", "s", "other")
    assert first.template == OVERFLOW
    assert first.template_id == second.template_id == templates.assign("e", "s", "other").template_id
    assert templates.overflowed == 3
    assert templates.assign("e", "s", "alpha beta") == known
    assert templates.text("e", "s", first.template_id) == OVERFLOW
    assert templates.canonical("e", "s", first.template_id) == first.template_id
    assert len(templates) == 2


def test_endless_words_leave_room_for_other_statements() -> None:
    """A family with more words than there may be templates fills neither the limit nor the tree."""
    templates = Templates(limit=40)
    words = [a + b for a in "abcdefghij" for b in "klmnopqrst"]
    _ids(templates, [f"removing {word}" for word in words])
    assert templates.assign("e", "s", "started at last").template == "started at last"
    assert templates.overflowed == 0
    assert len(templates) == 2


def test_the_default_limit_bounds_a_service() -> None:
    """Statements without end come to 2,000 templates, and another service is not concerned."""
    templates = Templates()
    letters = [chr(97 + n) for n in range(16)]
    for a in letters:
        for b in letters:
            for c in letters[:10]:
                templates.assign("e", "s", f"{a}{a} {b}{b} {c}{c} {a}{b} {b}{c} {c}{a}")
    assert len(templates) <= 2_000
    assert templates.overflowed > 0
    assert templates.assign("e", "other", "fine").template == "fine"


@settings(max_examples=120, deadline=None)
@given(bodies=_BODIES, limit=st.integers(1, 40), compiled=st.booleans())
def test_a_known_shape_gets_what_the_whole_way_gives(bodies: list[str], limit: int, compiled: bool) -> None:
    """What is remembered changes no id and no text, now and in every later line, and not the state."""
    fast, slow = Templates(limit=limit, compiled=compiled), Templates(limit=limit, remember=False)
    for body in [*bodies, *bodies]:
        assert fast.assign("e", "s", body) == slow.assign("e", "s", body)
    assert fast.dump() == slow.dump()


def test_a_crowded_tree_is_remembered_right() -> None:
    """Past a hundred first words Drain3 lets them share a branch; what is remembered follows it."""
    names = [a + b for a in "abcdefghij" for b in "klmnopqrstuv"]
    bodies = [f"{name} said {word} to all of them again" for word in ("yes", "no", "so") for name in names]
    fast, slow = Templates(), Templates(remember=False)
    for body in [*bodies, *bodies[::-1]]:
        assert fast.assign("e", "s", body) == slow.assign("e", "s", body)


@settings(max_examples=60, deadline=None)
@given(before=_BODIES, after=_BODIES, limit=st.integers(1, 12))
def test_a_loaded_tree_goes_on_as_if_never_stopped(before: list[str], after: list[str], limit: int) -> None:
    """Assignments, counters and the next dump are the same with and without dump and load."""
    whole, resumed = Templates(limit=limit), Templates(limit=limit)
    for body in before:
        whole.assign("e", "s", body)
    resumed.load(whole.dump())
    assert [whole.assign("e", "s", body) for body in after] == [
        resumed.assign("e", "s", body) for body in after
    ]
    assert resumed.dump() == whole.dump()
    assert resumed.overflowed == whole.overflowed
    assert resumed.merged == whole.merged


@settings(max_examples=60, deadline=None)
@given(bodies=_BODIES)
def test_every_id_leads_to_one_that_is_no_alias(bodies: list[str]) -> None:
    """Aliases are of the oldest, never of one another, and no id is lost."""
    templates = Templates()
    given = {templates.assign("e", "s", body).template_id for body in bodies}
    kept = {templates.canonical("e", "s", template_id) for template_id in given}
    assert len(kept) == len(templates)
    assert {templates.canonical("e", "s", template_id) for template_id in kept} == kept


def test_a_state_of_other_masking_is_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of another masking version would mean something else, so learning starts again."""
    templates = Templates()
    templates.assign("e", "s", "cache miss")
    state = templates.dump()
    monkeypatch.setattr("ingest.templates.templates.MASKING_VERSION", "next")
    templates.load(state)
    assert len(templates) == 0


def test_services_beyond_the_limit_share_one_template_and_are_counted() -> None:
    """Whoever makes up service names fills no memory; those that came first keep their templates."""
    templates = Templates(services=2)
    first = templates.assign("default", "cart", "order 17 paid").template_id
    templates.assign("default", "shop", "order 17 paid")
    made_up = {templates.assign("default", f"made-up-{n}", f"hello {n}").template_id for n in range(50)}
    (crowd,) = made_up
    assert templates.overflowed == 50
    assert templates.text("default", "made-up-7", crowd) == "<overflow>"
    assert templates.canonical("default", "made-up-7", crowd) == crowd
    assert templates.aliases("default", "made-up-7") == {}
    again = Templates(services=2)
    again.load(templates.dump())
    assert again.overflowed == 50
    assert again.assign("default", "cart", "order 99 paid").template_id == first
    assert again.assign("default", "new", "order 1 paid").template_id == crowd
