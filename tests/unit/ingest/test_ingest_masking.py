"""Masking: what varies is masked by its kind, and only the shape of a line matters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.masking import mask, mask_shape, subject
from ingest.shapes import reference_shape

PARTS = st.sampled_from(
    [
        "order",
        "7",
        "12.5",
        "ms",
        "10.0.0.1",
        "=",
        ":",
        " ",
        "-",
        "/",
        "0x1f",
        "df0798e",
        '"',
        "'",
        "[",
        "]",
        "Jan",
        "2024-05-01T10:11:12.123Z",
        "10:11:12",
        "a.B.c",
        "#12",
        "Cart.java:12",
        "<*>",
        "<id>",
        "@",
        "true",
        "\u00e9",
        "7f3c2f4e-1b2a-4c5d-8e9f-001122334455",
        "https://a.b/c?d=1",
        "k=v",
        "node12",
        "\u0663",
        "\n",
        "1234567890123456",
    ]
)
BODIES = st.lists(PARTS, max_size=14).map("".join)


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
        ("at 0x7fff and df0798e", "at <id> and <id>"),
        ("peer 10.1.2.3:8080 refused", "peer <ip> refused"),
        ("peer 2001:db8:0:1:1:1:1:1 refused", "peer <ip> refused"),
        ("GET https://shop.local/api/v1/orders/42?x=1", "GET <url>"),
        ("open /var/log/app/7.log failed", "open <path> failed"),
        (r"open C:\logs\app.log failed", "open <path> failed"),
        ("from web.eu.shop.example:8080", "from <name>"),
        ("org.shop.cart.CartService@1f2e started", "<name> started"),
        ("java.net.ConnectException: refused", "java.net.ConnectException: refused"),
        ("by ann@example.com", "by <email>"),
        ("token <secret:jwt:9f2c> from <pii:email:ab12>", "token <secret:jwt> from <pii:email>"),
        ("Seat(train=Z12, stops=[a, b], total=3)", "Seat(train=<val>, stops=<val>, total=<val>)"),
        ("visible:false, state:OPEN", "visible:<val>, state:OPEN"),
        ("cached true", "cached <bool>"),
        ('level=error msg="cannot reach 3 of 5"', 'level=error msg="cannot reach <num> of <num>"'),
        ('name "alice" unknown', 'name "<str>" unknown'),
        ('"GET /a/7 HTTP/1.1" 200', '"GET <path> HTTP/<num>" <num>'),
        ("pod cart-5c66d57d58-6mp2b-x on node12", "pod cart-<id>-<id>-x on node<num>"),
        ("don't stop 'til we're done", "don't stop 'til we're done"),
        ("literal <*> here", "literal <any> here"),
        ("delete blk_1 blk_22 blk_-3 now", "delete blk_<num> now"),
        ("nodes a1 <ok> a2 <ok> a3 <ok>", "nodes a<num> <ok>"),
        ("at Cart.java:12 in a.B#7", "at Cart.java:12 in a.B#7"),
        ("took 3.1 s after 2m3.5s", "took <duration> after <duration>"),
        ("cart.service: entered failed state", "<name>: entered failed state"),
        ("Started session-7.scope.", "Started <name>."),
        ("the service. was up", "the service. was up"),
        ("2024-05-01,OK,order,7,ann", "<time>, OK, order, <num>, ann"),
        ("a|b|7|true", "a| b| <num>| <bool>"),
        ("a,b and c,d,e", "a,b and c,d,e"),
        ("from 2024-05-01T10:11:12.123Z.", "from <time>."),
        ("node ip-10-0-14-127 up", "node ip-<num>-<num>-<num>-<num> up"),
        (r'err="failed \"ann\" for \"bob\"" pod="x"', r'err="failed \"<str>\" for \"<str>\"" pod="<str>"'),
    ],
)
def test_values_are_masked_by_kind(body: str, masked: str) -> None:
    """Each kind of value becomes its kind, words stay words, and a list's members stand once."""
    assert mask(body) == masked


@settings(max_examples=300, deadline=None)
@given(body=BODIES)
def test_masks_are_a_function_of_the_shape(body: str) -> None:
    """Whoever knows the shape of a line needs nothing else of it."""
    assert mask_shape(reference_shape(body)) == mask(body)


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "1",
        "=",
        '"',
        "a=",
        "1.",
        "a@",
        ":",
        "://",
        "[",
        "'x",
        "12:",
        "A.b",
        "/a",
        "a:b:",
        "<id>",
        ".",
        "0:",
    ],
)
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
