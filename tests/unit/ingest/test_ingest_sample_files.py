"""Records out of files: one a line or the whole, gzip or not, and lines beyond every limit."""

from __future__ import annotations

import gzip
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingest.decoders.batch import MAX_RECORD
from ingest.sample_files import Split, opened, values
from tests.support.otlp import NOW, logs_request


def split(raw: bytes, how: Split = "auto") -> list[bytes]:
    """Return the records of these bytes."""
    return list(values(opened(io.BytesIO(raw)), how))


@pytest.mark.parametrize(
    ("raw", "records"),
    [
        (b"a\nb\r\n\nc", [b"a", b"b", b"c"]),
        (b'{"a": 1}\n{"a": 2}\n', [b'{"a": 1}', b'{"a": 2}']),
        (b'{\n "a": 1\n}\n', [b'{\n "a": 1\n}\n']),
        (b'[{"a": 1},\n {"a": 2}]\n', [b'[{"a": 1},\n {"a": 2}]\n']),
        (b'{\n "a": 1,\n broken\n', [b'{\n "a": 1,\n broken\n']),
        (b"one line\n", [b"one line\n"]),
        (b"", []),
        (b"\x1b[31mred\x1b[0m line\nnext line\n", [b"\x1b[31mred\x1b[0m line", b"next line"]),
    ],
)
def test_auto_tells_one_record_from_one_a_line(raw: bytes, records: list[bytes]) -> None:
    """Lines are records, unless all of it is one document."""
    assert split(raw) == records
    assert split(gzip.compress(raw)) == records or not raw


def test_protobuf_is_one_record_whatever_newlines_it_holds() -> None:
    """An OTLP request is full of 0x0a, and is never cut at them."""
    raw = logs_request(time_unix_nano=NOW).SerializeToString() * 3
    assert raw.count(b"\n") > 3
    assert split(raw) == [raw]


def test_the_way_can_be_told() -> None:
    """`line` cuts a document, `file` keeps lines together."""
    assert split(b"a\nb", "file") == [b"a\nb"]
    assert split(b"[1,\n2]", "line") == [b"[1,", b"2]"]


@given(st.lists(st.binary(min_size=1, max_size=30).map(lambda b: b.replace(b"\n", b"x").strip() or b"x")))
def test_lines_come_back_as_they_went_in(lines: list[bytes]) -> None:
    """Joined lines are split again, each whole and in order."""
    assume(not (lines and lines[0].startswith(b"\x1f\x8b")))  # that is how gzip begins
    assert split(b"\n".join(lines), "line") == lines


def test_a_line_over_the_limit_does_not_swallow_its_neighbours() -> None:
    """It comes just over the limit, to be refused as too large; the next line is whole."""
    long = b"x" * (3 * MAX_RECORD)
    ways: tuple[Split, ...] = ("auto", "line")
    for how in ways:
        first, huge, last = split(b"first\n" + long + b"\nlast\n", how)
        assert (first, last) == (b"first", b"last")
        assert MAX_RECORD < len(huge) <= 2 * MAX_RECORD + 2


def test_a_line_across_the_first_look_is_whole() -> None:
    """What `auto` read to decide goes on where it stopped."""
    lines = [b"%07d" % n + b"y" * 1000 for n in range(MAX_RECORD // 1000)]
    assert split(b"\n".join(lines)) == lines


def test_a_whole_file_over_the_limit_comes_just_over_it() -> None:
    """A file of any size costs no more memory than one record."""
    assert len(split(b"x" * (MAX_RECORD + 50), "file")[0]) == MAX_RECORD + 1


def test_broken_gzip_is_an_error() -> None:
    """A cut archive raises what the command turns into a message."""
    with pytest.raises((OSError, EOFError)):
        split(gzip.compress(b"a\nb\n" * 1000)[:-20])
