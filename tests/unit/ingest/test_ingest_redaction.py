"""Redaction: what must go, what must stay, that it comes to rest and reaches every text of an event."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.events import AlertEvent, ChangeEvent, Event, LogEvent, MetricPoint, Resource, SpanEvent
from ingest.record import Origin
from ingest.redaction import RedactionError, Redactor

ORIGIN = Origin(topic="t", partition=0, offset=0)
RESOURCE = Resource(environment="e", service="s")
MODEST = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# Written in parts, so that scanners of this repository find no secrets in it.
AWS_KEY = "AKIA" + "IOSFODNN7EXAMPLE"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY"
GITHUB = "ghp_" + "a1B2" * 9
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTYifQ." + "dBjftJeZ4CVPmB92K27uhbUJU1p1r"
PEM = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEpAIBAAKCAQEA\nq83v==\n-----END RSA PRIVATE KEY-----"
CARD = "4111 1111 " + "1111 1111"


def redact(text: str) -> str:
    """Redact one text with a fixed key."""
    return Redactor(b"key").redact_text(text)


def masked(text: str) -> str:
    """Redact and leave the hashes out, to compare by kind."""
    return re.sub(r":[0-9a-f]{4,8}>", ">", redact(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key {AWS_KEY} used", "key <secret:aws_key> used"),
        (f"{AWS_KEY}:{AWS_SECRET}", "<secret:aws_key>:<secret:aws_secret>"),
        (f"aws_secret_access_key = {AWS_SECRET}", "aws_secret_access_key = <secret:api_key>"),
        ("AIza" + "x" * 35, "<secret:gcp_key>"),
        (f"push with {GITHUB}.", "push with <secret:github_token>."),
        ("github_pat_" + "a" * 30, "<secret:github_token>"),
        ("xoxb-" + "1234567890-abc", "<secret:slack_token>"),
        ("sk_live_" + "4eC39HqLyjWD", "<secret:stripe_key>"),
        (f"jwt {JWT}", "jwt <secret:jwt>"),
        (f"jwt {JWT[:40]}", "jwt <secret:jwt>"),
        ("Authorization: Bearer " + "abcdef123456", "Authorization: Bearer <secret:authorization>"),
        (f"authorization=Bearer {JWT}", "authorization=Bearer <secret:jwt>"),
        ('"Authorization":"Basic ' + 'dXNlcjpwYXNz"', '"Authorization":"Basic <secret:authorization>"'),
        ("header Basic " + "dXNlcjpwYXNz", "header Basic <secret:basic_auth>"),
        ('Authorization: Digest user="bob", response="66"', "Authorization: Digest <secret:authorization>"),
        ("password=hunter2 user=bob", "password=<secret:password> user=bob"),
        ("Password : hunter2", "Password : <secret:password>"),
        ("DB_PASSWD=a,b=2", "DB_PASSWD=<secret:password>,b=2"),
        ("pwd: correct", "pwd: <secret:password>"),
        ('{"password": "a \\"b\\" c", "x": 1}', '{"password": "<secret:password>", "x": 1}'),
        (r'{\"password\":\"a b\",\"x\":1}', r'{\"password\":\"<secret:password>\",\"x\":1}'),
        ("{'api_key': 'zz top'}", "{'api_key': '<secret:api_key>'}"),
        ("apiKey=abc&x=1", "apiKey=<secret:api_key>&x=1"),
        ("client_secret => abc", "client_secret => <secret:secret>"),
        ("token: a1b2", "token: <secret:token>"),
        ("?access_token=abc&page=2", "?access_token=<secret:token>&page=2"),
        ("Pwd={se;cret};", "Pwd={se;cret};".replace("{se;cret}", "<secret:password>")),
        ("mysqldump --password hunter2 db", "mysqldump --password <secret:password> db"),
        ("CREATE USER a IDENTIFIED BY 'x y'", "CREATE USER a IDENTIFIED BY '<secret:password>'"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: <secret:cookie>"),
        ("postgres://app:s3cr@db.example.com/x", "postgres://app:<secret:url_password>@db.example.com/x"),
        ("https://" + "a" * 20 + "@git.example.com", "https://<secret:url_password>@git.example.com"),
        (f"cert: {PEM} end", "cert: <secret:private_key> end"),
        (f"cut: {PEM[:50]}", "cut: <secret:private_key>"),
        (PEM[32:] + " end", "<secret:private_key> end"),
        (PEM.replace("\n", "\\n"), "<secret:private_key>"),
        ("mail Bob.Smith+x@mail.example.co.uk!", "mail <pii:email>!"),
        (f"card {CARD}, thanks", "card <pii:card>, thanks"),
        ("order 12 " + "4111-1111-" + "1111-1111", "order 12 <pii:card>"),
        ("378282246310" + "005", "<pii:card>"),
        (f'{{"user":"bob@example.com","card":"{CARD}"}}', '{"user":"<pii:email>","card":"<pii:card>"}'),
    ],
)  # fmt: skip
def test_secrets_and_personal_data_go(text: str, expected: str) -> None:
    """Each rule takes what it should and leaves its surroundings."""
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v1/orders 200 12ms trace=6f3cbf058c2765548a39ad724905d6a1",
        "invalid token: expired",
        "unexpected token: '}' in JSON at position 5",
        "auth::token::verify failed",
        "max_tokens=512 passwordless=on",
        "password=null token=none",
        "password=*****",
        "pwd=/home/app",
        "basic authentication failed, bearer token missing",
        "authorization: denied",
        "http://10.0.0.1:8080/path?next=a@b",
        "getty@tty1.service started",
        "com.acme.Order@1a2b3c4d",
        "epoch 1674982264144125304 id 4111111111111112",
        "550e8400-e29b-41d4-a716-446655440000",
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "-----------------",
        "keyspace=orders monkey: banana",
    ],
)
def test_ordinary_lines_stay(text: str) -> None:
    """Evidence is not to be lost to rules that fire too easily."""
    assert redact(text) == text


def test_hashes_tell_secrets_apart_and_depend_on_the_key() -> None:
    """The same secret gives the same hash under one key, another secret or key another."""
    assert redact("password=a1 password=a1") == redact("password=a1 ") + redact("password=a1")
    assert redact("password=a1") != redact("password=b2")
    assert Redactor(b"other").redact_text("password=a1") != redact("password=a1")


def test_a_person_keeps_one_pseudonym() -> None:
    """However the address or the card is written."""
    assert redact("bob@example.com") == redact("Bob@Example.com")
    assert redact(CARD) == redact(CARD.replace(" ", "-")) == redact(CARD.replace(" ", ""))


@pytest.mark.parametrize("key", [b"", b"x" * 65])
def test_a_key_of_impossible_size_is_refused(key: bytes) -> None:
    """Without a key hashes could be guessed."""
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        Redactor(key)


SECRET_LABELS = (("note", "mail bob@example.com"), ("password", "plain words"), ("user.apiKey", "x"))
SAFE = {"note", "password", "user.apiKey"}


def _events() -> list[Event]:
    """Make one event of each kind with a secret in every text."""
    said = "password=hunter2"
    return [
        LogEvent(
            origin=ORIGIN, resource=RESOURCE, time=1, body=said, sequence_key=said, attributes=SECRET_LABELS,
        ),
        MetricPoint(origin=ORIGIN, resource=RESOURCE, time=1, name="m", value=1.0, labels=SECRET_LABELS),
        SpanEvent(
            origin=ORIGIN, resource=RESOURCE, trace_id="a", span_id="b", parent_span_id=None, name=said,
            start=1, end=1, peer="postgres://u:hunter2@db", attributes=SECRET_LABELS,
        ),
        ChangeEvent(
            origin=ORIGIN, resource=RESOURCE, time=1, kind="config", title=said, attributes=SECRET_LABELS,
        ),
        AlertEvent(
            origin=ORIGIN, resource=RESOURCE, time=1, fingerprint="f", firing=True, labels=SECRET_LABELS,
            annotations=(("summary", said),),
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("event", _events(), ids=lambda event: type(event).__name__)
def test_every_text_of_an_event_is_redacted(event: Event) -> None:
    """Body, name, title, peer, attributes, labels, annotations; a telling name takes its whole value."""
    redactor = Redactor(b"key")
    once = redactor.redact(event)
    shown = repr(once)
    assert not any(secret in shown for secret in ("hunter2", "bob@example.com", "plain words"))
    assert all(name in shown for name in SAFE)
    assert redactor.redact(once) == once
    assert redactor.redact(event) == once


def test_an_event_without_secrets_is_the_same_event() -> None:
    """Ordinary events are passed on, not copied."""
    event = LogEvent(origin=ORIGIN, resource=RESOURCE, time=1, body="ok", attributes=(("a", "b"),))
    assert Redactor(b"key").redact(event) is event


def test_what_is_not_an_event_fails_closed() -> None:
    """A kind without a rule must not pass."""
    with pytest.raises(RedactionError, match="no rule"):
        Redactor(b"key").redact("text")  # type: ignore[arg-type]


def test_a_failure_inside_fails_closed_without_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage sees one kind of error, and it says nothing of the telemetry."""

    def broken(_text: str) -> None:
        raise ValueError("password=hunter2")

    monkeypatch.setattr("ingest.redaction.redactor.find_tokens", broken)
    event = LogEvent(origin=ORIGIN, resource=RESOURCE, time=1, body="x@y")
    with pytest.raises(RedactionError) as caught:
        Redactor(b"key").redact(event)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


fragments = st.sampled_from(
    [
        AWS_KEY, AWS_SECRET, GITHUB, JWT, PEM, CARD, "password", "token", "secret", "authorization",
        "bearer ", "cookie", "=", ":", ": ", '"', "'", "\\", " ", "\n", "@", "://", ".", "-", "<", ">",
        "<secret:", "<secret:jwt:00ff>", "<pii:email:00112233>", "a@b.example.com", "hunter2", "4111",
        "é", "--", "eyJ", "Basic dXNlcjpwYXNz", "{", "}", ",",
    ]
)  # fmt: skip


@MODEST
@given(st.lists(fragments | st.text(max_size=4), max_size=14).map("".join))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    """A second pass finds nothing to do, however secrets and placeholders are mixed."""
    once = redact(text)
    assert redact(once) == once


@MODEST
@given(
    st.text("abc XYZ019.,;:-_\n", max_size=30),
    st.sampled_from([AWS_KEY, GITHUB, JWT, "bob@example.com", CARD]),
    st.text("abc XYZ019.,;:\n", max_size=30),
)
def test_a_secret_goes_wherever_it_stands(before: str, secret: str, after: str) -> None:
    """Between blanks a secret never survives, whatever is around it."""
    assert secret not in redact(f"{before} {secret} {after}")


@pytest.mark.parametrize(
    "fragment",
    [
        "a", "1", "a@", "@a.", "a.", "eyJ", "eyJa.", "eyJaaaaaaaa.", "password=", "password='", 'password="',
        'password\\"', "token: ", "://", "://a:", "://a@", "bearer ", "bearer a", "basic ", "authorization: ",
        "cookie=", "4111 ", "4111", "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----",
        "-----", "--a-", "AKIA", "xoxb-", "sk-", "ghp_", "github_pat_", "<secret:jwt:00ff>", "<", "\\", '"',
        " ", "identified by '",
    ],
)  # fmt: skip
def test_64_kib_of_the_worst_comes_to_an_end(fragment: str) -> None:
    """Repetition that would make a careless pattern quadratic or worse ends, and comes to rest."""
    text = (fragment * (65_536 // len(fragment) + 1))[:65_536]
    once = redact(text)
    assert redact(once) == once


@MODEST
@given(st.text(string.printable, max_size=200))
def test_any_text_is_redacted_or_refused(text: str) -> None:
    """No text breaks the rules."""
    assert isinstance(redact(text), str)
