"""Parameters: what stands where a template has placeholders, typed, and found without a guess."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.masking import mask, subject
from ingest.templates import Templates, parameters
from ingest.templates.placeholders import MAX_PARAMETERS
from ingest.templates.values import ParameterKind as Kind
from ingest.templates.values import number, seconds, size
from tests.support.unseen import SYSTEMS, lines_of


def found(body: str, template: str | None = None) -> list[tuple[str, Kind, float | str]]:
    """Return (name, kind, value) of a line, by its own template unless another is given."""
    template = Templates().assign("e", "s", body).template if template is None else template
    return [(one.name, one.kind, one.value) for one in parameters(template, body)]


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("took 12.5 ms for 3 rows", [("", Kind.DURATION, 0.0125), ("", Kind.NUMBER, 3.0)]),
        (
            "took 2m3.5s, 10 KiB of 3 MB",
            [("", Kind.DURATION, 123.5), ("", Kind.SIZE, 10240.0), ("", Kind.SIZE, 3e6)],
        ),
        ("cpu at 97.3% of 1,234", [("", Kind.PERCENT, 97.3), ("", Kind.NUMBER, 1234.0)]),
        ("took_ms=45 status=7", [("took_ms", Kind.DURATION, 0.045), ("status", Kind.NUMBER, 7.0)]),
        (
            '{"event":"x","elapsedMs":12,"body_bytes":2048,"user":"ann lee"}',
            [
                ("elapsedMs", Kind.DURATION, 0.012),
                ("body_bytes", Kind.SIZE, 2048.0),
                ("user", Kind.QUOTED, "ann lee"),
            ],
        ),
        (
            "order 7f3c2f4e-1b2a-4c5d-8e9f-001122334455 of df0798e0 from 10.1.2.3:8080",
            [
                ("", Kind.UUID, "7f3c2f4e-1b2a-4c5d-8e9f-001122334455"),
                ("", Kind.HEX, "df0798e0"),
                ("", Kind.IP, "10.1.2.3:8080"),
            ],
        ),
        (
            "2026-01-05 10:11:12.123 open /var/log/a.log by ann@example.com in org.shop.cart.Cart",
            [
                ("", Kind.TIME, "2026-01-05 10:11:12.123"),
                ("", Kind.PATH, "/var/log/a.log"),
                ("", Kind.EMAIL, "ann@example.com"),
                ("", Kind.NAME, "org.shop.cart.Cart"),
            ],
        ),
        (
            "GET https://a.example/b?c=1 cached=true",
            [("", Kind.URL, "https://a.example/b?c=1"), ("cached", Kind.BOOL, "true")],
        ),
        ("for <pii:email:ab12>, 7", [("", Kind.REDACTED, "<pii:email:ab12>"), ("", Kind.NUMBER, 7.0)]),
        ("a1 <ok> a2 <ok> a3 <ok> left", [("", Kind.NUMBER, 1.0)]),
        ("failed after 3s\njava.net.ConnectException: 7\n\tat a.B.c(B.java:1)", [("", Kind.DURATION, 3.0)]),
        ("nothing varies", []),
        ("", []),
    ],
)  # fmt: skip
def test_values_are_typed(body: str, values: list[tuple[str, Kind, float | str]]) -> None:
    """Durations in seconds, sizes in bytes, numbers as floats; ids, names and the rest as they stand."""
    seen = found(body)
    assert [(name, kind) for name, kind, _ in seen] == [(name, kind) for name, kind, _ in values]
    assert all(value == pytest.approx(wanted) for (*_, value), (*_, wanted) in zip(seen, values, strict=True))


def test_words_that_a_template_has_given_up_are_values() -> None:
    """Where the template holds anything, this line's word is the value."""
    assert found("user ann logged in after 3 tries", "user <*> logged in after <num> tries") == [
        ("", Kind.TEXT, "ann"),
        ("", Kind.NUMBER, 3.0),
    ]


def test_growth_can_be_told() -> None:
    """Two lines of one template have values at the same places."""
    template = "query on <*> took <duration>"
    was, now = (parameters(template, f"query on orders took {took}") for took in ("12 ms", "3.1 s"))
    assert [(b.is_number, a.value, b.value) for a, b in zip(was, now, strict=True)][1] == (True, 0.012, 3.1)


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_every_value_stands_in_its_line(system: str) -> None:
    """On lines of many systems each value is a piece of the line, in order; lines of a template agree."""
    templates = Templates()
    lines = [line for line, _ in lines_of(system, 7, 150)]
    ids = [templates.assign("e", "s", line).template_id for line in lines]
    counts: dict[str, set[int]] = {}
    for line, template_id in zip(lines, ids, strict=True):
        template = templates.text("e", "s", template_id)
        at = 0
        for one in (values := parameters(template, line)):
            assert line.find(one.text, at) >= 0
            at = line.find(one.text, at) + len(one.text)
        assert len(values) > 0 or "<" not in mask(line)
        counts.setdefault(templates.canonical("e", "s", template_id), set()).add(len(values))
    assert sum(len(numbers) == 1 for numbers in counts.values()) >= 0.8 * len(counts)


@settings(max_examples=300, deadline=None)
@given(
    body=st.lists(
        st.sampled_from(
            [
                "a",
                "7",
                " ",
                "12 ms",
                "=",
                '"',
                "'",
                "k=v",
                "<num>",
                "<*>",
                "[",
                "]",
                "10.0.0.1",
                "/a/b",
                "\n",
                ",",
                ":",
            ]
        ),
        max_size=16,
    ).map("".join),
    template=st.sampled_from(["", "<*>", "<num> <*> x", "a <str>", "<overflow>"]),
)
def test_any_template_and_line_go_together(body: str, template: str) -> None:
    """A template of another line costs values, never an error, and no value is made up."""
    for one in parameters(template, body):
        assert one.text in subject(body)


@pytest.mark.parametrize("part", ["1", "a=", '"x" ', "1 ", "<*> ", "1.", "a=1 ", "0x1f,", '\\"', "1m"])
def test_hostile_lines_end(part: str) -> None:
    """Long repetitions are read in linear time, and only so many values are kept."""
    assert len(parameters("<*>", part * 50_000)) <= MAX_PARAMETERS


def test_units_by_hand() -> None:
    """Units that are written, and what is no unit."""
    assert [seconds(t) for t in ("3s", "1.5 ms", "2µs", "1h2m", "4 days", "5M", "x", "3 kB")] == [
        3.0, 0.0015, pytest.approx(2e-6), 3720.0, 345_600.0, None, None, None,
    ]  # fmt: skip
    assert [size(t) for t in ("3 kB", "3KiB", "7 bytes", "2Gi", "5m", "1.5MB", "x")] == [
        3000.0, 3072.0, 7.0, 2.0 * 1024**3, None, 1.5e6, None,
    ]  # fmt: skip
    assert [number(t) for t in ("1,234.5", "-3", "1e3", "1.2.3", "1,2", "")] == [
        1234.5,
        -3.0,
        1e3,
        None,
        None,
        None,
    ]
