"""Both ways to a line's shape, the reference and the compiled one, say the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.masking import subject
from ingest.shapes import Shape, compiled_body_shape, compiled_shape, reference_shape
from tests.unit.ingest.test_ingest_masking import BODIES

_SIGNS = st.text(alphabet="abxfgzAXZ0129-:.#_$< \u00e9", max_size=60)
_CASES = [
    ("took 12.5 ms, 3 of 100000", "took 0.0 ms, 0 of 0"),
    ("node12 v3 x86", "node0 v0 x0"),
    ("a 0x1F 0xzz 0x", "a <id> 0xzz 0x"),
    ("df0798e 12ab deadbeef 12345f", "<id> 0ab deadbeef <id>"),
    ("7f3c2f4e-1b2a-4c5d-8e9f-001122334455", "<id>"),
    ("deadbeef-aaaa-bbbb-cccc-ddddddddddddx", "deadbeef-aaaa-bbbb-cccc-ddddddddddddx"),
    ("5c66d57d58 a1b2 6mp2b", "<id> <id> <id>"),
    ("123456789012345 1234567890123456", "0 <id>"),
    ("a.B#12 a#1234567 #5", "a.B#12 a#0 #0"),
    ("B.java:12 b.jar:12 :7 B.groovy:7 B.xgroovy:7", "B.java:12 b.jar:0 :0 B.groovy:7 B.xgroovy:0"),
    ("B.java:12.5 B.py:3_", "B.java:0.0 B.py:0_"),
    ("", ""),
    ("caf\u00e9 12 \u0663", "caf\u00e9 0 \u0663"),
]  # fmt: skip


@pytest.fixture(params=["reference", "compiled"])
def shape(request: pytest.FixtureRequest) -> Shape:
    """Return each way in turn; the package is built with both wherever tests run."""
    if request.param == "reference":
        return reference_shape
    fast = compiled_shape()
    assert fast is not None, "run `python .ci/build_decoder.py` to compile the extensions"
    return fast


@pytest.mark.parametrize(("text", "expected"), _CASES)
def test_numbers_and_ids_are_folded(shape: Shape, text: str, expected: str) -> None:
    """Numbers become `0`, opaque ids `<id>`; words, and numbers that name a place in the code, stay."""
    assert shape(text) == expected


@settings(max_examples=500, deadline=None)
@given(text=st.one_of(BODIES, _SIGNS, st.text(max_size=40)))
def test_both_ways_give_one_shape(text: str) -> None:
    """No text, whatever its signs, has two shapes."""
    fast = compiled_shape()
    assert fast is not None
    assert fast(text) == reference_shape(text)


@settings(max_examples=500, deadline=None)
@given(text=st.one_of(BODIES, _SIGNS, st.text(alphabet=" \t\n\x1c\x1f\x85a1:", max_size=12)))
def test_a_body_has_the_shape_of_its_subject(text: str) -> None:
    """The short way from a body is the one over its subject."""
    fast = compiled_body_shape()
    assert fast is not None
    assert fast(text) == reference_shape(subject(text))


@pytest.mark.parametrize("part", ["0x1 ", "a", "1", "a1b2 ", "<", "B.py:1 "])
def test_long_texts_have_a_shape(shape: Shape, part: str) -> None:
    """A text beyond any buffer on the stack is folded like a short one."""
    whole = shape(part * 20_000)
    assert whole == reference_shape(part * 20_000)
    assert len(whole) <= 140_000
