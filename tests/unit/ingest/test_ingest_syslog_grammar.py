"""Syslog by its grammar: what the RFCs allow is read back as it was meant; nothing breaks the decoder."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.decoders.syslog3164 import parse as parse_3164
from ingest.decoders.syslog5424 import parse as parse_5424
from ingest.decoders.syslog_message import Message
from ingest.events import DecodeError, LogEvent
from ingest.record import SECOND
from ingest.times import format_time
from tests.support.decoding import NOW, decode

MODEST = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

printable = st.characters(min_codepoint=33, max_codepoint=126)
sd_names = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='=]"'), min_size=1, max_size=32
)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
fields = st.none() | st.text(printable, min_size=1, max_size=32).filter(lambda text: text != "-")
elements = st.lists(st.tuples(sd_names, st.lists(st.tuples(sd_names, values), max_size=3)), max_size=3)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=60).map(
    str.strip
)
tags = st.text("abcdefgh_/.-", min_size=1, max_size=20)
hosts = st.text("abcdefgh.-0123456789", min_size=1, max_size=20)


def written_5424(message: Message, data: list[tuple[str, list[tuple[str, str]]]]) -> str:
    """Write a message as RFC 5424 says."""

    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")

    spelled = "".join(
        f"[{name}{''.join(f' {key}={chr(34)}{escaped(value)}{chr(34)}' for key, value in pairs)}]"
        for name, pairs in data
    )
    time = "-" if message.time is None else format_time(message.time)
    header = " ".join(
        part or "-" for part in (message.host, message.app, message.process, message.message_id)
    )
    return f"<{message.priority}>1 {time} {header} {spelled or '-'}" + (
        f" {message.text}" if message.text else ""
    )


@MODEST
@given(st.integers(0, 191), st.none() | st.integers(0, NOW), fields, fields, fields, fields, elements, texts)
def test_rfc_5424_reads_back(
    priority: int,
    time: int | None,
    host: str | None,
    app: str | None,
    process: str | None,
    message_id: str | None,
    data: list[tuple[str, list[tuple[str, str]]]],
    text: str,
) -> None:
    """Header, structured data with every escape, and text come back as they were."""
    message = Message(
        priority=priority,
        time=time,
        host=host,
        app=app,
        process=process,
        message_id=message_id,
        structured=tuple((f"{name}.{key}", value) for name, pairs in data for key, value in pairs),
        text=text,
    )
    assert parse_5424(written_5424(message, data)) == message


@MODEST
@given(
    st.none() | st.integers(0, 191),
    st.integers(NOW - 300 * 86_400 * SECOND, NOW).map(lambda time: time - time % SECOND),
    hosts.filter(lambda host: host[-1] != ":"),
    tags,
    st.none() | st.integers(1, 99_999),
    texts,
    st.booleans(),
)
def test_rfc_3164_reads_back(
    priority: int | None, time: int, host: str, tag: str, process: int | None, text: str, precise: bool
) -> None:
    """With the old time and with rsyslog's precise one, with and without priority and process."""
    iso = format_time(time)
    month = "JanFebMarAprMayJunJulAugSepOctNovDec"[int(iso[5:7]) * 3 - 3 :][:3]
    stamp = iso if precise else f"{month} {int(iso[8:10]):2} {iso[11:19]}"
    start = "" if priority is None else f"<{priority}>"
    pid = "" if process is None else f"[{process}]"
    expected = Message(
        priority=priority,
        time=time,
        host=host,
        app=tag,
        process=None if process is None else str(process),
        text=text,
    )
    assert parse_3164(f"{start}{stamp} {host} {tag}{pid}: {text}", NOW, None) == (expected, precise)


@MODEST
@given(
    st.lists(
        texts.filter(lambda text: text and "#01" not in text and text[0] not in "{@"), min_size=1, max_size=6
    )
)
def test_octet_counts_frame_any_text(drawn: list[str]) -> None:
    """As many messages come out as went in, whatever their texts hold."""
    messages = [f"<14>1 - h a - - - {text}".encode() for text in drawn]
    whole = b"".join(b"%d %s" % (len(message), message) for message in messages)
    events = decode(whole, format="syslog").events
    assert [event.body for event in events if isinstance(event, LogEvent)] == [
        text.removeprefix("\ufeff") for text in drawn
    ]


@MODEST
@given(
    st.sampled_from(["", "<34>1 ", "<34>", "12 <34>1 - - - - - [", "Sep 21 14:13:19 "]),
    st.binary(max_size=200),
)
def test_no_bytes_break_the_decoder(start: str, rest: bytes) -> None:
    """Whatever follows a plausible beginning, the record is taken or refused."""
    for form in ("syslog", "auto"):
        try:
            decode(start.encode() + rest, format=form)
        except DecodeError:
            continue


def test_hostile_lines_take_no_longer_than_long_ones() -> None:
    """Patterns that would backtrack: each of a megabyte, each must simply end."""
    size = 1_000_000
    for line in (
        "<34>1 - h a - - [x" + ' a="b"' * (size // 6),
        "<34>1 - h a - - [x a=" + '"' + "\\" * size,
        "<34>1 - h a - - " + "[x]" * (size // 3) + "y",
        "<34>Sep 21 14:13:19 " + "a" * size,
        "<34>Sep 21 14:13:19 " + "a " * (size // 2),
        "Sep 21 14:13:19 h a[" + "1" * size,
        "1 <1>" * (size // 5),
        "%A-" * (size // 3),
        "<34>Sep 21 14:13:19 h %" + "A-" * (size // 2) + ": x",
        "<34>Sep 21 14:13:19 h a: " + "#012" * (size // 4),
    ):
        for form in ("syslog", "auto"):
            try:
                assert decode(line, format=form).events
            except DecodeError:
                continue
