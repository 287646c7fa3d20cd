"""Who may come in. Pure: headers in, a refusal or nothing out.

With a key every route but /healthz needs it. Without one the server is bound to loopback, and the Host
header must be a loopback name, else any web page could reach it through a name that it points here.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

OPEN_PATHS = frozenset({"/healthz"})
_HOST = re.compile(r"(?:(?P<name>[\w.-]+)|\[(?P<address>[0-9a-fA-F:.]+)\])(?::\d*)?", re.ASCII)
_REALM = 'realm="Faultline", charset="UTF-8"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request does not get in."""

    status: int
    detail: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Decides about a request before any route sees it."""

    api_key: str | None
    public_url: str | None = None

    def refusal(self, path: str, headers: Mapping[str, str]) -> Refusal | None:
        """Return why the request is refused, None when it may pass."""
        if self.api_key is None:
            return self._stranger(headers.get("host", ""))
        if path in OPEN_PATHS or self._knows_key(path, headers):
            return None
        scheme = "Basic" if is_page(path) else "Bearer"
        detail = "Send the API key as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
        if is_page(path):
            detail = "Sign in with any user name and the API key as the password."
        return Refusal(status=401, detail=detail, headers={"WWW-Authenticate": f"{scheme} {_REALM}"})

    def _stranger(self, host: str) -> Refusal | None:
        name = host_name(host)
        public = urlsplit(self.public_url).hostname if self.public_url else None
        if is_loopback(name) or (public is not None and name == public):
            return None
        detail = (
            "Without an API key only requests to localhost are answered; "
            "set http.api_key to serve other names, or deliver.public_url behind a proxy of your own."
        )
        return Refusal(status=403, detail=detail, headers={})

    def _knows_key(self, path: str, headers: Mapping[str, str]) -> bool:
        expected = (self.api_key or "").encode()
        given = headers.get("x-api-key", "").encode("latin-1")
        given = given or _authorized(path, headers.get("authorization", ""))
        return bool(given) and hmac.compare_digest(given, expected)


def is_page(path: str) -> bool:
    """Say whether people see this path in a browser."""
    return path == "/" or path == "/incidents" or path.startswith("/incidents/")


def is_loopback(name: str) -> bool:
    """Say whether a host name or address is this machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """Return a Host header's name in lower case, without port and brackets; empty when it is none."""
    found = _HOST.fullmatch(host)
    return "" if found is None else (found["name"] or found["address"]).lower().rstrip(".")


def _authorized(path: str, value: str) -> bytes:
    """Return the key that an Authorization header holds, empty when it holds none that counts here."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode("latin-1")
    # Browsers send Basic by themselves, on forged requests too: it opens pages, which change nothing.
    if scheme.lower() == "basic" and is_page(path):
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except ValueError:
            return b""
    return b""
