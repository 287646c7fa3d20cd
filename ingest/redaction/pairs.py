"""Rules for secrets that show by what stands before them: `password=`, `Authorization:`, `user:pw@host`.

Pure and linear: repetitions are bounded or possessive, so nothing is tried twice.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from ingest.redaction.span import Span

_WORDS = (
    r"pass(?:word|wd|phrase|code)|pwd|secret(?:[_.-]?(?:access[_.-]?)?key)?|token|credentials?|x-amz-signature"
    r"|(?:api|access|private|account|encryption|signing|shared|auth)[_.-]?key"
)
_PAIR = re.compile(
    rf"(?P<key>{_WORDS})"
    r"(?P<before>\\{0,3}[\"']?\s{0,8})(?P<sep>=>|:=|==?|:(?!:))(?P<after>\s{0,8})"
    r"(?:(?P<escape>\\{1,3}[\"'])(?P<escaped>(?:[^\"'\\]|\\++(?![\"']))*+)"
    r"|\"(?P<double>(?:[^\"\\]|\\.)*+)"
    r"|'(?P<single>(?:[^'\\]|\\.)*+)"
    r"|(?P<braced>\{[^{}\"'\s:,]{1,128}\})"
    r"|(?P<bare>[^\s,;&\"'{\[<\\][^\s,;&\"']*+))",
    re.DOTALL,
)
_NAME = re.compile(rf"(?:.{{0,200}}[._-])?(?:{_WORDS}|authorization|cookie|set-cookie)", re.DOTALL)
_CAMEL = re.compile(r"[A-Za-z]{1,40}(?:Password|Passwd|Secret|Token|ApiKey|AccessKey|PrivateKey)")
_FLAG = re.compile(
    r"--(?:[a-z]{1,20}-){0,3}(?:password|passwd|token|secret|api-?key)\s{1,4}(?P<value>[^\s-]\S*+)"
)
_SQL = re.compile(r"identified by\s{1,4}'(?P<value>[^']*+)")
_OPEN = r"\\{0,3}[\"']?\s{0,3}[:=]\s{0,3}\\{0,3}[\"']?"
_HEADER = re.compile(
    rf"authorization{_OPEN}(?:(?:digest|oauth|aws4-hmac-sha256)\s{{1,3}}(?P<line>[^\r\n<]{{4,}})"
    r"|(?P<scheme>(?:basic|bearer|token|negotiate|apikey)\s{1,3})?+(?P<value>[^\s\"',;\\<]{4,}))"
)
_COOKIE = re.compile(rf"cookie{_OPEN}(?P<value>[^\r\n\"'\\<]{{4,}})")
_BEARER = re.compile(r"bearer(?<![a-z0-9_]......)[ \t:]{1,4}(?P<value>[a-z0-9._~+/=-]{8,})")
_BASIC = re.compile(r"basic(?<![a-z0-9_].....)[ \t]{1,4}(?P<value>[a-z0-9+/]{6,}={0,2})")
_URL = re.compile(
    r"://(?:[^\s/:@\"'<>]{0,256}:(?P<password>[^\s/@\"'<>]{1,256})|(?P<token>[^\s/:@\"'<>]{16,256}))@"
)
_NOTHING = frozenset({"null", "none", "nil", "true", "false", "undefined", "empty", "redacted"})
_LONG = 16
"""Letters alone make a secret of a `bearer` or `token:` only from this length on; shorter is prose."""
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}

Check = Callable[[str, re.Match[str]], Iterator[Span]]


def find_pairs(text: str) -> Iterator[Span]:
    """Yield every secret in `text` that a name, header or URL before it gives away."""
    # Patterns without IGNORECASE run several times faster; positions are the same in both texts.
    low = text.lower()
    if len(low) != len(text):
        low = text.translate(_ASCII_LOWER)
    for hints, pattern, check in _RULES:
        for hint in hints:
            if hint in low:
                for match in pattern.finditer(low):
                    yield from check(text, match)
                break


def secret_name(name: str) -> str | None:
    """Return the kind of secret that an attribute of this name holds, None when it holds none."""
    low = name.lower()
    return _kind(low) if _NAME.fullmatch(low) or _CAMEL.fullmatch(name) else None


def _pair(_text: str, match: re.Match[str]) -> Iterator[Span]:
    group = match.lastgroup
    if group is None:
        return
    value = match[group]
    start, end = match.span(group)
    if group == "bare":
        trimmed = value.rstrip(")]}>.")
        end -= len(value) - len(trimmed)
        value = trimmed
    if not value or value in _NOTHING or not value.strip("*.x"):
        return
    if not any(character.isalnum() for character in value):
        return  # "unexpected token: '}'"
    key = match["key"]
    if key == "pwd" and value.startswith("/"):
        return  # the working directory
    spoken = match["sep"] == ":" and match["after"] and not match["before"].strip()
    if spoken and group == "bare" and not key.startswith(("pass", "pwd")) and _is_prose(value):
        return  # "invalid token: expired"
    yield Span(start, end, _kind(key))


def _header(_text: str, match: re.Match[str]) -> Iterator[Span]:
    group = match.lastgroup or "value"
    if group == "line" or match["scheme"] or not _is_prose(match[group]):
        yield Span(match.start(group), match.end(group), "authorization", rank=2)


def _bearer(_text: str, match: re.Match[str]) -> Iterator[Span]:
    if not _is_prose(match["value"].rstrip(".")):
        yield Span(match.start("value"), match.end("value"), "bearer", rank=2)


def _basic(text: str, match: re.Match[str]) -> Iterator[Span]:
    start, end = match.span("value")
    value = text[start:end].rstrip("=")
    try:
        told = base64.b64decode(value[: len(value) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return
    if b":" in told:
        yield Span(start, end, "basic_auth", rank=2)


def _named(kind: str) -> Check:
    def check(_text: str, match: re.Match[str]) -> Iterator[Span]:
        group = match.lastgroup
        if group is not None and match[group]:
            yield Span(match.start(group), match.end(group), kind, rank=2)

    return check


def _is_prose(value: str) -> bool:
    return value.isalpha() and len(value) < _LONG


def _kind(key: str) -> str:
    if "pass" in key or "pwd" in key:
        return "password"
    if "key" in key:
        return "api_key"
    return next(
        (word for word in ("token", "authorization", "cookie", "credential") if word in key), "secret"
    )


_RULES: tuple[tuple[tuple[str, ...], re.Pattern[str], Check], ...] = (
    (
        ("passw", "pwd", "passphrase", "passcode", "secret", "token", "credential", "key", "x-amz-sig"),
        _PAIR,
        _pair,
    ),
    (("--",), _FLAG, _named("password")),
    (("identified by",), _SQL, _named("password")),
    (("authorization",), _HEADER, _header),
    (("cookie",), _COOKIE, _named("cookie")),
    (("bearer",), _BEARER, _bearer),
    (("basic",), _BASIC, _basic),
    (("://",), _URL, _named("url_password")),
)
