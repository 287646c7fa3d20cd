"""A generic webhook as a channel: signed JSON, or the body a template makes, in one POST.

2xx is success. Time-outs, broken connections, 408, 425, 429 and 5xx are to be tried again, as late as
`Retry-After` asks; any other answer is final, redirects too, because a signed message goes only to the
address that was configured. Blocks for the time-out at most per read; answers are not read to the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import jinja2
import msgspec
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agent.deliver.channels import DeliveryError
from agent.deliver.events import event_type
from agent.deliver.notification import Notification
from agent.deliver.sanitize import line
from agent.deliver.signature import SIGNATURE, TIMESTAMP, SignatureError, sign, verify
from agent.deliver.view import event_view
from ingest.record import SECOND, Nanos

__all__ = ["SIGNATURE", "TIMESTAMP", "SignatureError", "WebhookChannel", "verify"]

IDEMPOTENCY_KEY = "Idempotency-Key"
_RETRYABLE = frozenset({408, 425, 429})
_DETAIL_BYTES = 2048


class WebhookChannel:
    """POSTs to one URL. `template` is Jinja2 source over the event (sandboxed; `| tojson` quotes)."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        secret: bytes,
        timeout_s: float = 5.0,
        template: str | None = None,
        content_type: str = "application/json",
        public_url: str | None = None,
        clock: Callable[[], Nanos] = time.time_ns,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"webhook {name!r}: the url must begin with http:// or https://")
        if not secret:
            raise ValueError(f"webhook {name!r}: a secret is needed to sign with")
        self.name = f"webhook:{name}"
        self._url, self._secret, self._clock = url, secret, clock
        self._content_type, self._public_url = content_type, public_url
        self._template = _compiled(name, template)
        self._client = httpx.Client(
            timeout=timeout_s, follow_redirects=False, headers={"User-Agent": "faultline"}
        )

    def send(self, notification: Notification, attempt: int) -> str | None:
        """POST the event once. Raises `DeliveryError`; the receipt is the status line."""
        body = self._body(event_view(notification, self._public_url))
        now = self._clock()
        seconds = now // SECOND
        headers = {
            "Content-Type": self._content_type,
            IDEMPOTENCY_KEY: notification.delivery_id,
            "X-Faultline-Event": event_type(notification),
            "X-Faultline-Attempt": str(attempt),
            TIMESTAMP: str(seconds),
            SIGNATURE: sign(self._secret, seconds, body),
        }
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as response:
                return _judged(response, now)
        except httpx.TimeoutException as error:
            raise DeliveryError(f"no answer in time ({type(error).__name__})", retryable=True) from error
        except httpx.TransportError as error:
            raise DeliveryError(f"{type(error).__name__}: {line(str(error), 200)}", retryable=True) from error
        except httpx.InvalidURL as error:
            raise DeliveryError(f"the url is none: {error}", retryable=False) from error

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _body(self, event: dict[str, Any]) -> bytes:
        if self._template is None:
            return msgspec.json.encode(event)
        try:
            return self._template.render(event=event).encode("utf-8", "replace")
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            raise DeliveryError(f"the template failed: {error}", retryable=False) from error


def _compiled(name: str, source: str | None) -> jinja2.Template | None:
    if source is None:
        return None
    # Never HTML: the body is JSON or plain text, and `tojson` quotes what comes from telemetry.
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"webhook {name!r}: template line {error.lineno}: {error.message}") from error


def _judged(response: httpx.Response, now: Nanos) -> str:
    status = response.status_code
    if response.is_success:
        return f"{status} {response.reason_phrase}".strip()
    if response.is_redirect:
        raise DeliveryError(f"{status}: redirects are not followed, set the url itself", retryable=False)
    said = line(next(response.iter_bytes(_DETAIL_BYTES), b"").decode("utf-8", "replace"), 200)
    raise DeliveryError(
        f"{status} {said}".strip(),
        retryable=status in _RETRYABLE or status >= 500,
        retry_after=retry_after(response.headers.get("Retry-After"), now),
    )


def retry_after(value: str | None, now: Nanos) -> Nanos | None:
    """Return the nanoseconds that a `Retry-After` header asks for (seconds or a date), None if unreadable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return int(text[:9]) * SECOND
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(int(aware.timestamp()) * SECOND - now, 0)
