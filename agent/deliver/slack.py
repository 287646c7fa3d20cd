"""Slack's incoming webhook as a channel: one message a notification, in Block Kit.

Built so that no content can exceed Slack's limits (50 blocks, 3000 characters a section, 150 a header)
and none is obeyed: text from telemetry stands in plain-text objects or code blocks, and `&`, `<`, `>` are
escaped everywhere, so there are no mentions, links or formatting but our own. An incoming webhook can
neither edit nor thread. 429 and 5xx are to be tried again; blocks for the time-out at most per read.
"""

from __future__ import annotations

import http.client
import logging
import time
from collections.abc import Callable
from urllib.error import URLError

from slack_sdk.models.blocks import (
    Block,
    ContextBlock,
    DividerBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
)
from slack_sdk.webhook import WebhookClient
from slack_sdk.webhook.webhook_response import WebhookResponse

from agent.analysis import Analysis, Hypothesis, Incident, RemediationStep, Severity
from agent.deliver.channels import DeliveryError
from agent.deliver.notification import Kind, Notification
from agent.deliver.sanitize import ELLIPSIS, block, line
from agent.deliver.view import incident_url, rfc3339
from agent.deliver.webhook import retry_after
from detectors.anomaly import Evidence
from ingest.record import Nanos

MAX_BLOCKS = 50
MAX_SECTION = 3000
MAX_HEADER = 150
_SUSPECTS = 3
_EVIDENCE = 4
_STEPS = 5
_NOTES = 8

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SAID = {
    Kind.OPENED: "Incident opened",
    Kind.UPDATED: "Incident changed",
    Kind.ANALYZED: "Incident analysed",
    Kind.RESOLVED: "Incident resolved",
    Kind.REOPENED: "Incident is back",
}
_SIGN = {
    Severity.CRITICAL: "\U0001f534",
    Severity.ERROR: "\U0001f7e0",
    Severity.WARNING: "\U0001f7e1",
    Severity.INFO: "\U0001f535",
}


class SlackChannel:
    """Posts to one incoming webhook. The URL is the secret: it is never logged or repeated."""

    def __init__(
        self,
        *,
        name: str,
        webhook_url: str,
        timeout_s: int = 10,
        public_url: str | None = None,
        clock: Callable[[], Nanos] = time.time_ns,
    ) -> None:
        if not webhook_url.startswith(("http://", "https://")):
            raise ValueError(f"slack {name!r}: the webhook url must begin with https://")
        self.name = f"slack:{name}"
        self._public_url, self._clock = public_url, clock
        # The client writes URL and body to its logger at DEBUG; both are none of the log's business.
        silent = logging.getLogger("faultline.slack")
        silent.setLevel(logging.CRITICAL)
        self._client = WebhookClient(webhook_url, timeout=timeout_s, retry_handlers=[], logger=silent)

    def send(self, notification: Notification, attempt: int) -> str | None:
        """Post the message once. Raises `DeliveryError`."""
        del attempt
        body = {
            "text": fallback(notification),
            "mrkdwn": False,
            "blocks": [part.to_dict() for part in blocks(notification, self._public_url)],
            "unfurl_links": False,
            "unfurl_media": False,
        }
        try:
            response = self._client.send_dict(body)
        except (URLError, OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise DeliveryError(f"no answer: {line(str(reason), 200)}", retryable=True) from error
        return self._judged(response)

    def close(self) -> None:
        """Nothing stays open between messages."""

    def _judged(self, response: WebhookResponse) -> str:
        status, said = response.status_code, line(response.body or "", 200)
        if status == 200 and said == "ok":
            return "ok"
        if status == 200:
            raise DeliveryError(f"not Slack's answer, check the webhook url: {said}", retryable=False)
        asked = {name.lower(): value for name, value in response.headers.items()}.get("retry-after")
        raise DeliveryError(
            f"{status} {said}".strip(),
            retryable=status in (408, 429) or status >= 500,
            retry_after=retry_after(asked, self._clock()),
        )


def fallback(notification: Notification) -> str:
    """Return the one line that notifications on phones show."""
    about = notification.analysis.headline if notification.analysis else notification.incident.title
    return escaped(f"{_SAID[notification.kind]} ({notification.incident.severity}): {about}", MAX_SECTION)


def blocks(notification: Notification, public_url: str | None) -> list[Block]:
    """Return the message's blocks: at most `MAX_BLOCKS`, each within its limit."""
    incident, analysis = notification.incident, notification.analysis
    title = f"{_SIGN[incident.severity]} {_SAID[notification.kind]}: {incident.title}"
    parts: list[Block] = [HeaderBlock(text=PlainTextObject(text=escaped(title, MAX_HEADER), emoji=False))]
    parts.append(_facts(incident, notification))
    if analysis is not None:
        parts += _analysis(analysis)
    url = incident_url(public_url, incident.id)
    if url is not None:
        parts.append(_context(f"<{escaped(url, 2000)}|Open the incident>", "all evidence, timeline, sources"))
    return parts[:MAX_BLOCKS]


def _facts(incident: Incident, notification: Notification) -> Block:
    services = ", ".join(incident.services[:8]) + (f", {ELLIPSIS}" if len(incident.services) > 8 else "")
    return _context(
        f"*{incident.severity}*",
        f"since {rfc3339(incident.onset)}",
        f"environment {code(incident.environment, 100)}",
        f"services {code(services, 500)}",
        f"sent because: {notification.reason.replace('_', ' ')}",
    )


def _analysis(analysis: Analysis) -> list[Block]:
    known = {item.id: item for item in analysis.evidence}
    parts: list[Block] = [
        _plain(analysis.headline),
        _context(f"*{analysis.verdict}*", f"confidence {analysis.confidence:.0%}", analysis.worded_by),
    ]
    for number, hypothesis in enumerate(analysis.hypotheses[:_SUSPECTS], 1):
        parts += _suspect(number, hypothesis)
    cited = [i for hypothesis in analysis.hypotheses for i in hypothesis.evidence_ids if i in known]
    for identity in list(dict.fromkeys(cited))[:_EVIDENCE]:
        parts += _evidence(known[identity])
    if analysis.remediation:
        parts.append(DividerBlock())
        parts += [_step(number, step) for number, step in enumerate(analysis.remediation[:_STEPS], 1)]
    notes = [f"Missing: {item}" for item in analysis.missing_evidence]
    notes += [f"Degraded: {item}" for item in analysis.provenance.degraded]
    if notes:
        parts.append(_plain("\n".join(line(note, 300) for note in notes[:_NOTES])))
    return parts


def _suspect(number: int, hypothesis: Hypothesis) -> list[Block]:
    where = f" at {code(hypothesis.component, 200)}" if hypothesis.component else ""
    what = hypothesis.mechanism.replace("_", " ")
    head = f"*{number}.* {code(hypothesis.service, 200)}{where}: {what}, {hypothesis.probability:.0%}"
    parts: list[Block] = [SectionBlock(text=_marked(head))]
    if hypothesis.claims:
        parts.append(_plain("\n".join(line(claim.text, 600) for claim in hypothesis.claims[:4])))
    return parts


def _evidence(item: Evidence) -> list[Block]:
    parts: list[Block] = [_plain(f"{line(item.service, 100)}: {line(item.statement, 1000)}")]
    if item.lines:
        sample = item.lines[0]
        parts.append(SectionBlock(text=_marked(preformatted(sample.text, 800))))
        parts.append(_context(code(f"{item.id} {sample.origin}", 400)))
    else:
        parts.append(_context(code(f"{item.id} {item.label}", 400)))
    return parts


def _step(number: int, step: RemediationStep) -> Block:
    text = f"*{number}.* _{step.risk}_ {code(step.step, 700)}"
    if step.command:
        text += f"\n{preformatted(step.command, 700)}"
    if step.citation:
        text += f"\nrunbook {code(f'{step.citation.title} ({step.citation.section})', 300)}"
    return SectionBlock(text=_marked(text))


def escaped(text: str, limit: int) -> str:
    """Return one clean line with `&`, `<` and `>` escaped, at most `limit` characters after escaping."""
    return _escape(line(text), limit)


def code(text: str, limit: int) -> str:
    """Return text as a code span that it cannot end."""
    return f"`{_escape(line(text).replace('`', 'ˋ'), limit - 2) or ' '}`"


def preformatted(text: str, limit: int) -> str:
    """Return text as a code block that it cannot end."""
    return f"```{_escape(block(text).replace('`', 'ˋ'), limit - 6) or ' '}```"


def _escape(text: str, limit: int) -> str:
    """Escape and cut in one pass, so that no entity is cut in two. Counts as UTF-16 does, to be safe."""
    pieces: list[str] = []
    used = 0
    for char in text:
        piece = _ENTITIES.get(char, char)
        if used + _units(piece) > limit:
            while pieces and used + 1 > limit:
                used -= _units(pieces.pop())
            return "".join(pieces) + ELLIPSIS
        pieces.append(piece)
        used += _units(piece)
    return "".join(pieces)


def _units(piece: str) -> int:
    return len(piece) + (piece > "\uffff")


def _plain(text: str) -> Block:
    return SectionBlock(text=PlainTextObject(text=_escape(block(text), MAX_SECTION) or " ", emoji=False))


def _context(*texts: str) -> Block:
    return ContextBlock(elements=[_marked(text) for text in texts])


def _marked(text: str) -> MarkdownTextObject:
    # Verbatim: Slack turns no bare URL, channel or user name into a link.
    return MarkdownTextObject(text=text, verbatim=True)
