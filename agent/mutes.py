"""What somebody asked to be quiet about: maintenance of services, and mutes of what is known to be noise.

Pure. A mute never hides: what it covers is found, counted, stored and shown, and an incident all of whose
anomalies are covered pages nobody (`agent.deliver.decide`). Every mute says who asked for it, why, and when
it ends; one that could cover everything or never ends is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from detectors.anomaly import Anomaly
from ingest.ids import digest
from ingest.record import SECOND, Nanos

LONGEST: Nanos = 90 * 86_400 * SECOND
"""Whatever is muted for longer is no mute but a setting: `detectors.shadow`, or another threshold."""
WINDOW: Nanos = 10 * SECOND
"""An anomaly's last window, at most: what ended within it may have happened before the mute's end."""
MAX_TEXT = 500
_ALERTS = "alertmanager"
"""Whose anomalies are other people's alerts; no detector of ours."""
MUTED = "muted"
"""Name in `Anomaly.extra` of the mute that covers an anomaly."""
_DURATION = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_UNITS = {"m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}


class MuteKind(StrEnum):
    """What a mute is for."""

    MAINTENANCE = "maintenance"
    """People work on the services: all that is found there is expected."""
    MUTE = "mute"
    """One template, series, alert or detector is known to be noise."""


class MuteError(ValueError):
    """The mute is refused; the message says what to give instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """What is covered: everything given must fit, and what is not given fits everything.

    `subject` is an anomaly's: a template id, a series as it is shown, an alert's fingerprint.
    """

    id: str
    kind: MuteKind
    starts: Nanos
    ends: Nanos
    reason: str
    author: str
    created: Nanos
    environment: str | None = None
    services: tuple[str, ...] = ()
    detector: str | None = None
    subject: str | None = None
    lifted_by: str | None = None
    """Who ended it before its time; `ends` is then when."""

    def covers(self, anomaly: Anomaly, at: Nanos | None = None) -> bool:
        """Say whether the anomaly is covered: it fits, and its last window touches the time, or `at` does.

        One that goes on after the end is covered no longer, whenever it began.
        """
        return (
            self.starts <= (anomaly.end if at is None else at) < self.ends + WINDOW
            and self.environment in (None, anomaly.environment)
            and (not self.services or anomaly.service in self.services)
            and self.detector in (None, anomaly.detector)
            and self.subject in (None, anomaly.subject)
        )

    @property
    def covered(self) -> str:
        """What it covers, for people."""
        parts = [
            f"environment {self.environment}" if self.environment else "",
            f"services {', '.join(self.services)}" if self.services else "",
            f"detector {self.detector}" if self.detector else "",
            f"subject {self.subject}" if self.subject else "",
        ]
        return "; ".join(part for part in parts if part)

    def active(self, now: Nanos) -> bool:
        """Say whether it covers what happens at `now`."""
        return self.starts <= now < self.ends


def mute(
    *,
    kind: MuteKind,
    starts: Nanos,
    ends: Nanos,
    reason: str,
    author: str,
    now: Nanos,
    environment: str | None = None,
    services: Sequence[str] = (),
    detector: str | None = None,
    subject: str | None = None,
) -> Mute:
    """Return the mute; the same content gives the same id. Raises `MuteError` saying what to give instead."""
    _check_words(reason=reason, author=author)
    _check_time(starts, ends, now)
    _check_reach(kind, environment, services, detector, subject)
    named = tuple(dict.fromkeys(services))
    identity = digest(
        "mu", kind.value, str(starts), str(ends), environment or "", detector or "", subject or "", *named
    )
    return Mute(
        id=identity,
        kind=kind,
        starts=starts,
        ends=ends,
        reason=reason.strip(),
        author=author.strip(),
        created=now,
        environment=environment,
        services=named,
        detector=detector,
        subject=subject,
    )


def lifted(known: Mute, author: str, now: Nanos) -> Mute:
    """Return the mute ended now. Raises `MuteError` where it has ended already or nobody says who asks."""
    _check_words(author=author)
    if now >= known.ends:
        raise MuteError(f"it ended at {_shown(known.ends)} already; there is nothing to lift")
    return replace(known, ends=now, lifted_by=author.strip())


def moment(text: str, now: Nanos) -> Nanos:
    """Return the time that `2h`, `45m`, `3d` (from `now`) or an RFC 3339 time says. Raises `MuteError`."""
    found = _DURATION.fullmatch(text)
    if found:
        return now + int(found[1]) * _UNITS[found[2]]
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise MuteError(f"{text!r} is no time: give 45m, 2h, 3d or one like 2026-01-31T18:00:00Z") from None
    if parsed.tzinfo is None:
        raise MuteError(f"{text!r} names no time zone: end it with Z or an offset like +01:00")
    return round(parsed.timestamp()) * SECOND


def marked(anomaly: Anomaly, mutes: Iterable[Mute], at: Nanos | None = None) -> Anomaly:
    """Return the anomaly with the mute that covers it in `extra`, if any does; maintenance comes first.

    `at` is the time that counts for an alert: it knows when it began, and goes on until somebody says so.
    """
    bare = tuple(pair for pair in anomaly.extra if pair[0] != MUTED)
    covering = [one for one in mutes if one.covers(anomaly, at)]
    if not covering:
        return anomaly if bare == anomaly.extra else replace(anomaly, extra=bare)
    first = min(covering, key=lambda one: (one.kind is not MuteKind.MAINTENANCE, one.starts, one.id))
    return replace(anomaly, extra=(*bare, (MUTED, f"{first.kind.value} {first.id}")))


def muted_by(anomaly: Anomaly) -> str | None:
    """Return `kind id` of the mute that covers the anomaly, None when none does."""
    return dict(anomaly.extra).get(MUTED)


def _check_words(**words: str) -> None:
    for name, text in words.items():
        if not text.strip():
            raise MuteError(f"{name} is empty: say {'why' if name == 'reason' else 'who asks for it'}")
        if len(text) > MAX_TEXT:
            raise MuteError(f"{name} has more than {MAX_TEXT} characters: say it shorter")


def _check_time(starts: Nanos, ends: Nanos, now: Nanos) -> None:
    if ends <= starts:
        raise MuteError("it would end before it begins: give an end after the start")
    if ends <= now:
        raise MuteError(f"it would have ended at {_shown(ends)}: give an end that is still to come")
    if ends - starts > LONGEST or starts - now > LONGEST:
        days = LONGEST // (86_400 * SECOND)
        raise MuteError(
            f"nothing is muted for more than {days} days: give an earlier end and renew it, or take the "
            "detector out with detectors.shadow"
        )


def _check_reach(
    kind: MuteKind,
    environment: str | None,
    services: Sequence[str],
    detector: str | None,
    subject: str | None,
) -> None:
    if any(not one for one in (*services, environment or "x", detector or "x", subject or "x")):
        raise MuteError("a name is empty: leave it out, or give one")
    if kind is MuteKind.MAINTENANCE:
        if environment is None and not services:
            raise MuteError("maintenance of everything is refused: name an environment or services")
        if detector is not None or subject is not None:
            raise MuteError("maintenance covers all that is found: give a mute for one detector or subject")
    elif subject is None and (detector is None or not services):
        raise MuteError("name what to mute: a subject (template id or series), or a detector with services")
    if detector is not None:
        _check_detector(detector)


def _check_detector(name: str) -> None:
    """Refuse a name mistyped: it would mute nothing, and nobody would know before they are paged."""
    from detectors.suite import default_detectors

    known = sorted({_ALERTS, *(one.name for one in default_detectors())})
    if name not in known:
        raise MuteError(f"there is no detector {name!r}; there are: {', '.join(known)}")


def _shown(time: Nanos) -> str:
    return f"{datetime.fromtimestamp(time // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"
