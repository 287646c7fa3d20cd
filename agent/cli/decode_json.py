"""What `faultline decode --json` writes: one object a record, one for the summary."""

from __future__ import annotations

from typing import Any

import msgspec

from ingest.diagnosis import Hint, Tally
from ingest.explain import ADVICE, Explained


def record_object(one: Explained, number: int) -> dict[str, Any]:
    """Return one record for programs."""
    origin = one.record.origin
    return {
        "type": "record",
        "number": number,
        "origin": {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset},
        "bytes": len(one.record.value),
        "format": one.format,
        "why": one.why,
        "others": [{"format": a.format, "events": a.events, "refused": a.refused} for a in one.others],
        "events": [
            {
                "kind": shown.kind,
                "service_from": shown.service_from,
                "own_time": shown.own_time,
                "redacted": shown.redacted,
                "template": shown.template,
                "event": msgspec.to_builtins(shown.event),
            }
            for shown in one.events
        ],
        "rejects": [
            {"reason": str(r.reason), "detail": r.detail, "advice": ADVICE[r.reason]} for r in one.rejects
        ],
        "refused": one.whole,
        "cuts": dict(one.cuts),
    }


def summary_object(tally: Tally, hints: tuple[Hint, ...], topic: str, templates: int) -> dict[str, Any]:
    """Return the summary for programs."""
    return {
        "type": "summary",
        "topic": topic,
        "records": tally.records,
        "refused": tally.refused,
        "formats": dict(tally.formats),
        "events": dict(tally.kinds),
        "templates": templates,
        "redacted": tally.redacted,
        "services": [
            {"environment": environment, "service": service, "from": source, "events": count}
            for (environment, service, source), count in tally.services.most_common()
        ],
        "first": tally.first,
        "last": tally.last,
        "delay": tally.delay(),
        "unknown_service": tally.unknown,
        "no_time": tally.no_time,
        "no_severity": tally.no_severity,
        "rejects": [
            {"reason": str(reason), "detail": detail, "count": count, "advice": ADVICE[reason]}
            for (reason, detail), count in tally.rejects.most_common()
        ],
        "cuts": dict(tally.cuts),
        "hints": [{"text": hint.text, "settings": dict(hint.settings)} for hint in hints],
    }
