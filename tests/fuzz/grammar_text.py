"""Samples of text: lines, syslog of both RFCs, and hostile bodies that regular expressions must survive."""

from __future__ import annotations

from random import Random

from tests.fuzz.case import Case
from tests.fuzz.grammar_words import HOSTS, SERVICES, iso, line

_PIECES = (
    "a", "A", "0", "9", " ", "\t", "\n", "\\", '"', "'", "\\\"", "{", "}", "[", "]", "(", ")", "<", ">", "=",
    ":", "::",
    ".", "-", "_", "/", "@", ",", ";", "%", "+", "e5", "0x", "1.", ".1", "1:", "ab:", "12:34:", "1,1", "-1",
    "é", "İ", "ſ",
    "password=", "passwd: ", "secret_access_key=", "token:", "api-key=>", "token=\\\"", "key='", "key=\"",
    "pwd={",
    "--password ", "--a-b-token  ", "identified by '", "authorization: ", "authorization=\"bearer ",
    "cookie: ",
    "set-cookie=", "bearer ", "basic ", "digest ", "://", "http://", "://a:", "://a:b@", "a@", "a@b.",
    "a@b.c",
    "x.y@z-", "AKIA", "AKIAABCDEFGHIJKLMNOP", "ASIA", "AIza", "ya29.", "ghp_", "github_pat_", "glpat-",
    "xoxb-",
    "hooks.slack.com/", "sk_live_", "sk-", "eyJ", "eyJhbGciOi", "-----BEGIN PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----", "4111 1111 ", "4111-", "4111111111111111", "3782 822463 10005",
    "2026-06-01",
    "2026-06-01T12:00:00.000", "01/Jun/2026:12:00:00 +0000", "Mon, Jun  1 12:00:00", "10.0.0.1", "10.0.0.1:",
    "fe80:", "550e8400-e29b-41d4-", "deadbeef", "DEADBEEFDEADBEEF", "5ms", "3.5 GiB", "GET ", '"GET ',
    "msg=\"",
    "Exception", "a.b.Error", "Caused by: ", "<secret:x:9f2c>", "<pii:email:ab12cd34>", "<*>", "key=[", "k=(",
    "level=", "error: ", "?", "#", "&", "user:", "null", "true",
)  # fmt: skip


def text(rng: Random) -> Case:
    """Make a line as programs and container runtimes write it."""
    body = line(rng)
    start = rng.choice(
        ("", f"{iso(rng)} ", f"[{iso(rng)}] ", f"{iso(rng)} stdout F ", "E0601 12:00:00.000000 1 ")
    )
    return Case(value=(start + body).encode("utf-8", "replace"))


def syslog(rng: Random) -> Case:
    """Make a message of RFC 5424 or RFC 3164, with or without its priority and frame."""
    host, app = rng.choice(HOSTS), rng.choice(SERVICES) or "-"
    priority = rng.choice(("<34>", "<165>", "<191>", "<0>", ""))
    data = rng.choice(
        (
            "-",
            '[id@32473 iut="3" eventSource="App\\]lication"]',
            '[a b="c"][d e="f\\"g"]',
            '[origin ip="::1"]',
        )
    )
    forms = (
        f"{priority or '<13>'}1 {iso(rng)} {host} {app} 4711 ID47 {data} \ufeff{line(rng)}",
        f"{priority}Jun  1 12:00:00 {host} {app}[4711]: {line(rng)}",
        f"{priority}{iso(rng)} {host} {app}: {line(rng)}",
        f"{priority}1 - - - - - -",
    )
    made = rng.choice(forms)
    raw = made.encode("utf-8", "replace")
    return Case(value=b"%d %s" % (len(raw), raw) if rng.random() < 0.1 else raw)


def hostile(rng: Random) -> Case:
    """Make what a rule begins to match, over and over, and then does not: the worst for backtracking."""
    parts: list[str] = []
    for _ in range(rng.choice((1, 2, 3, 6))):
        piece = "".join(rng.choice(_PIECES) for _ in range(rng.choice((1, 1, 2, 3))))
        parts.append(piece * rng.choice((1, 1, 3, 20, 300, 3000)))
    size = rng.choice((512, 4096, 4096, 16_384, 65_536))
    return Case(value="".join(parts)[:size].encode("utf-8", "surrogatepass"))


def bodies(rng: Random) -> Case:
    """Make several bodies (apart by the byte 0x1e) for one template tree."""
    made = [
        hostile(rng).value[:4096] if rng.random() < 0.2 else line(rng).encode("utf-8", "replace")
        for _ in range(8)
    ]
    return Case(value=b"\x1e".join(made))
