"""Dead letters: whole where possible, cut where too large, without contents where redaction failed."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from ingest.deadletter import KEPT_OF_LARGE, WHOLE_LIMIT, dead_letter
from ingest.events import Reject, RejectReason
from ingest.record import Origin, Record

ORIGIN = Origin(topic="telemetry.logs", partition=3, offset=41)
MALFORMED = Reject(reason=RejectReason.MALFORMED, detail="cut off at byte 7")
REDACTION = Reject(reason=RejectReason.REDACTION_FAILED, detail="redaction failed with ValueError")


def _record(value: bytes, **more: object) -> Record:
    return Record(origin=ORIGIN, value=value, **more)  # type: ignore[arg-type]


def test_whole_record_with_reasons_and_origin() -> None:
    """Body, key and original headers survive; reasons and origin stand beside them."""
    late = Reject(reason=RejectReason.TIME_INVALID, detail="1970")
    record = _record(b"\xffbody", key=b"k", headers=(("trace", b"\x00\x01"),), received=7)
    letter = dead_letter(record, [MALFORMED, late, late])
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"k", b"\xffbody")
    assert headers["faultline.original.trace"] == b"\x00\x01"
    assert headers["faultline.reason"] == b"malformed,time_invalid"
    assert headers["faultline.detail"] == b"cut off at byte 7 | 1970"
    assert headers["faultline.rejects"] == b"3"
    assert [headers[f"faultline.{name}"] for name in ("topic", "partition", "offset")] == [
        b"telemetry.logs",
        b"3",
        b"41",
    ]
    assert headers["faultline.body"] == b"whole"


def test_large_record_keeps_its_beginning_and_fingerprint() -> None:
    """Over the limit: the first 64 kB, original length and sha256 of all of it."""
    value = bytes(range(256)) * 40_000
    letter = dead_letter(_record(value), [MALFORMED])
    headers = dict(letter.headers)
    assert letter.value == value[:KEPT_OF_LARGE]
    assert headers["faultline.length"] == str(len(value)).encode()
    assert headers["faultline.sha256"] == hashlib.sha256(value).hexdigest().encode()


def test_failed_redaction_withholds_contents_key_and_header_values() -> None:
    """Nothing of the contents is left in the letter, only fingerprint, length and header names."""
    record = _record(b"password=hunter2", key=b"alice@example.org", headers=(("user", b"alice"),))
    for letter in (dead_letter(record, [MALFORMED, REDACTION]), dead_letter(record, [], with_body=False)):
        everything = repr(letter)
        assert (letter.key, letter.value) == (None, b"")
        assert "hunter2" not in everything
        assert "alice" not in everything
        assert dict(letter.headers)["faultline.sha256"] == hashlib.sha256(record.value).hexdigest().encode()
        assert dict(letter.headers)["faultline.original_headers"] == b"user"


@given(
    value=st.integers(0, 2_000_000).map(bytes),
    key=st.none() | st.integers(0, 1_200_000).map(bytes),
    headers=st.lists(st.tuples(st.text(max_size=20), st.integers(0, 1_200_000).map(bytes)), max_size=4).map(
        tuple
    ),
    detail=st.text(max_size=5000),
)
def test_a_letter_always_fits_a_broker_of_1_mb(
    value: bytes, key: bytes | None, headers: tuple[tuple[str, bytes], ...], detail: str
) -> None:
    """Whatever comes in, the letter stays under what brokers take, and the same record gives the same."""
    record = _record(value, key=key, headers=headers)
    rejects = [Reject(reason=RejectReason.TOO_LARGE, detail=detail)]
    letter = dead_letter(record, rejects)
    size = len(letter.value) + len(letter.key or b"")
    size += sum(len(name.encode()) + len(text) for name, text in letter.headers)
    assert size < WHOLE_LIMIT + 50_000
    assert letter == dead_letter(record, rejects)
