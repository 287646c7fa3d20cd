"""What the words of a log line say about a cause: which resource ran out, or which other service is meant.

Pure. Only wordings that operating systems, databases and common libraries use; nothing of any one system.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.analysis import Mechanism
from agent.suspects.sides import TemplateSide

RAN_OUT: tuple[tuple[Mechanism, re.Pattern[str]], ...] = tuple(
    (mechanism, re.compile(pattern, re.IGNORECASE))
    for mechanism, pattern in (
        (
            Mechanism.DISK,
            r"no space left|disk (?:is )?full|read-only file ?system|quota exceeded|disk I/O error",
        ),
        (Mechanism.MEMORY, r"out of memory|cannot allocate memory|outofmemory|heap space|oom[- ]?kill"),
        (
            Mechanism.LOCK,
            r"deadlock|lock (?:wait )?time-?out|could not obtain lock|waiting for \w*lock|acquired \w*lock",
        ),
        (
            Mechanism.POOL,
            r"pool (?:is )?(?:exhausted|empty|timed? ?out)|too many (?:connections|clients)",
        ),
    )
)
THROWN = re.compile(r"exception|traceback|panic|\bthrew\b|stack.?trace|segfault|assert", re.IGNORECASE)
"""How a line reads that tells of code which broke off; other errors are answers that it did not like."""
UNREACHED = re.compile(
    r"no answer|timed? ?out|reset by peer|disconnected|connection (?:refused|reset|closed|aborted)"
    r"|broken pipe|unreachable|no route|eof|deadline exceeded|unavailable",
    re.IGNORECASE,
)
"""How a line reads that tells of a call which got no answer at all."""
PASSED_ON = re.compile(
    r"\b50[0234]\b.{0,3}(?:Internal|Bad Gateway|Service Unavail|Gateway|Server Error)"
    r"|connection (?:refused|reset)|upstream (?:connect|request)|no healthy upstream"
    r"|deadline exceeded|code = Unavailable|(?:connect|read|request) timed? ?out",
    re.IGNORECASE,
)
"""How the failure of a call reads in the caller's log."""
SHORTEST = 4
"""Letters of a service's name that a line may be searched for."""


def ran_out(side: TemplateSide) -> Mechanism | None:
    """Return the resource that the lines say ran out, None where they name none."""
    text = text_of(side)
    return next((mechanism for mechanism, pattern in RAN_OUT if pattern.search(text)), None)


def complains(side: TemplateSide, services: Iterable[str]) -> bool:
    """Return whether the lines name another service or tell of a failed call: the trouble came from there."""
    return bool(PASSED_ON.search(text_of(side))) or bool(named_in(side, services))


def named_in(side: TemplateSide, services: Iterable[str]) -> list[str]:
    """Return the services that the lines name, sorted."""
    text = text_of(side)
    return [
        name
        for name in sorted(services)
        if len(name) >= SHORTEST
        and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text, re.IGNORECASE) is not None
    ]


def text_of(side: TemplateSide) -> str:
    """Return the kept lines as one text."""
    return " ".join(line.text for line in side.lines)
