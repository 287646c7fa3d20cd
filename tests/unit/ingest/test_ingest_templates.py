"""Masking and templates: what varies is masked, ids are stable, state goes on as if never stopped."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.masking import mask, subject
from ingest.templates import OVERFLOW, Templates

_WORDS = st.sampled_from(
    ["order", "paid", "user", "7", "db", "timeout", "to", "10.0.0.1", "<*>", "retry", ""]
)
_BODIES = st.lists(st.lists(_WORDS, max_size=7).map(" ".join), max_size=60)


@pytest.mark.parametrize(
    ("body", "masked"),
    [
        ("took 12.5 ms for 3 rows", "took <duration> for <num> rows"),
        ("sent 10 KB, 2048 bytes", "sent <size>, <size>"),
        ("at 2024-05-01T10:11:12.123Z done", "at <time> done"),
        ("16:48:16.545 INFO up", "<time> INFO up"),
        ("Jan  5 10:11:12 host", "<time> host"),
        ("id 7f3c2f4e-1b2a-4c5d-8e9f-001122334455 gone", "id <id> gone"),
        ("trace 88ebfbcebbbc0884eabd9178e1808940", "trace <id>"),
        ("span 1234567890123456", "span <id>"),
        ("peer 10.1.2.3:8080 refused", "peer <ip> refused"),
        ("peer 2001:db8:0:1:1:1:1:1 refused", "peer <ip> refused"),
        (
            "GET https://shop.local/api/v1/orders/42?x=1",
            "GET https://shop.local/api/v<num>/orders/<num>?<query>",
        ),
        ("by ann@example.com", "by <email>"),
        ("token <secret:jwt:9f2c> from <pii:email:ab12>", "token <secret:jwt> from <pii:email>"),
        ("Seat(train=Z12, stops=[a, b], total=3)", "Seat(train=<val>, stops=<val>, total=<val>)"),
        ('level=error msg="cannot reach 3 of 5"', 'level=error msg="cannot reach <num> of <num>"'),
        ('name "alice" unknown', 'name "<str>" unknown'),
        ('"GET /a/7 HTTP/1.1" 200', '"GET /a/<num> HTTP/<num>" <num>'),
        ("pod cart-5c66d57d58-6mp2b-x on node12", "pod cart-<id>-<id>-x on node<num>"),
        ("don't stop 'til we're done", "don't stop 'til we're done"),
        ("literal <*> here", "literal <any> here"),
    ],
)
def test_values_are_masked_by_kind(body: str, masked: str) -> None:
    """Each kind of value becomes its kind, and words stay words."""
    assert mask(body) == masked


@pytest.mark.parametrize("part", ["a", "1", "=", '"', "a=", "1.", "a@", ":", "://", "[", "'x", "12:", "A.b"])
def test_hostile_bodies_end(part: str) -> None:
    """A long repetition of any sign that rules begin with is masked without blowing up."""
    assert isinstance(mask(subject(part * 100_000)), str)


def test_stack_traces_are_told_apart_by_their_exception() -> None:
    """Of many lines the first counts, and the exception that follows."""
    one = "request failed\njava.net.ConnectException: refused\n\tat a.B.c(B.java:1)"
    two = "request failed\njava.lang.NullPointerException\n\tat a.B.c(B.java:1)"
    assert subject(one) == "request failed java.net.ConnectException"
    assert subject(two) == "request failed java.lang.NullPointerException"


def test_python_tracebacks_carry_their_error() -> None:
    """A traceback's last line names its error."""
    body = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nredis.TimeoutError: slow'
    assert subject(body) == "Traceback (most recent call last): redis.TimeoutError"


def test_the_id_of_birth_stays_when_a_template_generalises() -> None:
    """The text becomes more general, the id does not change."""
    templates = Templates()
    first = templates.assign("e", "s", "user alice logged in from the office network today")
    second = templates.assign("e", "s", "user alice logged in from the branch network today")
    assert second.template_id == first.template_id
    assert second.template == "user alice logged in from the <*> network today"
    assert templates.text("e", "s", first.template_id) == second.template


def test_an_id_names_the_service_not_the_environment() -> None:
    """The same line of the same service has one id everywhere, of another service another."""
    templates = Templates()
    here = templates.assign("prod", "cart", "cache miss").template_id
    assert templates.assign("test", "cart", "cache miss").template_id == here
    assert templates.assign("prod", "shop", "cache miss").template_id != here


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
    assert len(templates) == 2


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


@settings(max_examples=60, deadline=None)
@given(bodies=_BODIES)
def test_no_two_templates_share_a_text_or_an_id(bodies: list[str]) -> None:
    """Generalisation never makes two templates of a service one, so ids need no aliases within a tree."""
    templates = Templates()
    ids = {templates.assign("e", "s", body).template_id for body in bodies}
    assert len({templates.text("e", "s", template_id) for template_id in ids}) == len(ids) == len(templates)


def test_a_state_of_other_masking_is_not_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of another masking version would mean something else, so learning starts again."""
    templates = Templates()
    templates.assign("e", "s", "cache miss")
    state = templates.dump()
    monkeypatch.setattr("ingest.templates.MASKING_VERSION", "next")
    templates.load(state)
    assert len(templates) == 0
