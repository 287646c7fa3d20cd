"""Takes the Markdown of a runbook apart: headings into sections, lists and fenced blocks into steps.

Pure. It knows the little of Markdown that runbooks use (ATX headings, fences, lists) and never fails: text
that it does not understand stays text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.analysis import Risk
from agent.knowledge.risk import is_command, risk_of
from agent.knowledge.runbook import Section, SectionKind, Step

_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w+-]*)")
_NUMBERED = re.compile(r"^ {0,3}\d{1,3}[.)]\s+(\S.*)$")
_BULLET = re.compile(r"^ {0,1}[-*+]\s+(\S.*)$")
_RISK = re.compile(r"^\s*(?:[-*+]\s+)?\**Risk:?\**:?\s*`?([A-Za-z-]+)`?\.?\s*$")
_PROMPT = re.compile(r"^\s*[$#]\s+(?=\S)")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_TAG = re.compile(r"</?[a-zA-Z][^>]*>|<!--.*?-->")

_KINDS: tuple[tuple[SectionKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        (SectionKind.UNDO, r"\bundo|roll(ing)?.?back|revert"),
        (SectionKind.VERIFY, r"\bverif|\bvalidat|confirm"),
        (SectionKind.MITIGATION, r"mitigat|resol|remed|\bfix|recover|workaround|action|to do|procedure"),
        (SectionKind.DIAGNOSIS, r"diagnos|investigat|troubleshoot|debug|\bcheck|symptom|cause|analy[sz]"),
        (SectionKind.IMPACT, r"impact|consequence"),
        (SectionKind.MEANING, r"meaning|overview|description|summary|background|about"),
    )
)
_CHANGES = re.compile(
    r"\b(restart|reboot|delet|remov|drain|scale|kill|terminat|evict|roll|revert|cordon|fail.?over"
    r"|apply|patch|edit|drop|truncat|flush|reset|disable|stop|purge|increase|decrease|raise|lower|set)\w*\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its number in the file and whether a fenced block holds it."""

    number: int
    text: str
    fenced: bool


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced block: its language and what is inside, without the indentation it shares."""

    language: str
    text: str
    line: int


def lines_of(text: str, first: int = 1) -> tuple[tuple[Line, ...], int | None]:
    """Return the numbered lines of `text`, and the line of a fence that is never closed, else None."""
    found: list[Line] = []
    closing: str | None = None
    opened = first
    for number, line in enumerate(text.splitlines(), start=first):
        fence = _FENCE.match(line)
        found.append(Line(number, line, closing is not None or fence is not None))
        if fence is not None and closing is None:
            closing, opened = fence.group(1), number
        elif closing is not None and line.strip().startswith(closing) and not line.strip().strip(closing[0]):
            closing = None
    return tuple(found), opened if closing is not None else None


def heading_of(line: Line) -> tuple[int, str] | None:
    """Return level and text of a heading line, else None."""
    match = None if line.fenced else _HEADING.match(line.text)
    return (len(match.group(1)), plain(match.group(2))) if match else None


def plain(text: str) -> str:
    """Return `text` without links' targets, bold marks and HTML tags: what a reader would see."""
    return _TAG.sub("", _LINK.sub(r"\1", text)).replace("**", "").strip()


def kind_of(heading: str) -> SectionKind:
    """Return what a section with this heading is for."""
    return next((kind for kind, pattern in _KINDS if pattern.search(heading)), SectionKind.OTHER)


def title_of(lines: tuple[Line, ...]) -> str:
    """Return the text of the heading that names the whole document, else nothing."""
    line = _title_line(lines)
    found = heading_of(line) if line else None
    return found[1] if found else ""


def _title_line(lines: tuple[Line, ...]) -> Line | None:
    """Return the heading that the document begins with, when all others are deeper."""
    first = next((line for line in lines if line.text.strip()), None)
    found = heading_of(first) if first else None
    others = [other[0] for line in lines if line is not first and (other := heading_of(line))]
    if found is None or (found[0] > 1 and not others) or any(level <= found[0] for level in others):
        return None
    return first


def sections_of(lines: tuple[Line, ...], title: str) -> tuple[Section, ...]:
    """Cut at the shallowest headings below the title; text before the first becomes a section `title`."""
    headings = [(line, found) for line in lines if (found := heading_of(line))]
    title_line = _title_line(lines)
    if title_line is not None:
        headings = headings[1:]
    level = min((found[0] for _, found in headings), default=0)
    starts = [(line.number, found[1]) for line, found in headings if found[0] == level]
    sections: list[Section] = []
    current: list[Line] = []
    heading, at = title, lines[0].number if lines else 1
    upcoming = dict(starts)
    for line in lines:
        if line.number in upcoming:
            sections.extend(_section(heading, at, current))
            heading, at, current = upcoming[line.number], line.number, []
        elif line is not title_line:
            current.append(line)
    sections.extend(_section(heading, at, current))
    return tuple(sections)


def _section(heading: str, at: int, lines: list[Line]) -> list[Section]:
    text = "\n".join(line.text for line in lines).strip()
    if not text:
        return []
    kind = kind_of(heading)
    begins = next(line.number for line in lines if line.text.strip())
    steps = _steps(lines, kind)
    return [Section(heading=heading, kind=kind, text=text, steps=steps, line=at, text_line=begins)]


def fences_of(lines: list[Line]) -> list[Fence]:
    """Return the fenced blocks in `lines`."""
    found: list[Fence] = []
    inside: list[str] | None = None
    language, at = "", 0
    for line in lines:
        fence = _FENCE.match(line.text) if line.fenced else None
        if inside is None and fence is not None:
            language, at, inside = fence.group(2), line.number, []
        elif inside is not None and fence is not None and not fence.group(2):
            found.append(Fence(language, _dedent(inside), at))
            inside = None
        elif inside is not None:
            inside.append(line.text)
    return found


def _dedent(lines: list[str]) -> str:
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:].rstrip() for line in lines).strip("\n")


def _steps(lines: list[Line], kind: SectionKind) -> tuple[Step, ...]:
    """Numbered items are steps; else bullets with a command; else paragraphs that end in a command."""
    for pattern in (_NUMBERED, _BULLET):
        items = _items(lines, pattern)
        if items and (pattern is _NUMBERED or any(fences_of(item) for item in items)):
            return tuple(_step(number, item, kind) for number, item in enumerate(items, start=1))
    return tuple(_step(number, item, kind) for number, item in enumerate(_told_commands(lines), start=1))


def _items(lines: list[Line], pattern: re.Pattern[str]) -> list[list[Line]]:
    items: list[list[Line]] = []
    for line in lines:
        if not line.fenced and (match := pattern.match(line.text)):
            items.append([Line(line.number, match.group(1), fenced=False)])
        elif not line.fenced and heading_of(line):
            items.append([])  # what follows a sub-heading belongs to no item
        elif items and items[-1]:
            # A line at the margin after a blank one ends the list item.
            ended = (
                not line.text.startswith((" ", "\t")) and line.text.strip() and not items[-1][-1].text.strip()
            )
            if ended and not line.fenced:
                items.append([])
            else:
                items[-1].append(line)
    return [item for item in items if item]


def _told_commands(lines: list[Line]) -> list[list[Line]]:
    """Return each fenced block together with the paragraph right before it."""
    found: list[list[Line]] = []
    paragraph: list[Line] = []
    block: list[Line] = []
    ended = False
    for line in lines:
        if line.fenced:
            block.append(line)
            if len(block) > 1 and _FENCE.match(line.text):
                found.append([*paragraph, *block])
                paragraph, block = [], []
        elif not line.text.strip():
            ended = True
        elif heading_of(line) is not None:
            paragraph = []
        else:
            paragraph = [line] if ended else [*paragraph, line]
            ended = False
    return [item for item in found if not item[0].fenced]


def _step(number: int, lines: list[Line], kind: SectionKind) -> Step:
    fences = [fence for fence in fences_of(lines) if is_command(fence.language)]
    prose = [line.text.strip() for line in lines if not line.fenced and not _RISK.match(line.text)]
    text = plain(" ".join(part for part in prose if part))
    stated = next((found for line in lines if (found := stated_risk(line))), None)
    judged = _judged(text, fences, kind)
    return Step(
        number=number,
        text=text,
        command="\n".join(_runnable(fence.text) for fence in fences) or None,
        risk=stated if isinstance(stated, Risk) else judged,
        risk_stated=isinstance(stated, Risk),
        judged=judged,
        line=lines[0].number,
    )


def stated_risk(line: Line) -> Risk | str | None:
    """Return the risk that a line states, the unknown word when it states another, else None."""
    match = None if line.fenced else _RISK.match(line.text)
    if match is None:
        return None
    word = match.group(1).lower()
    return Risk(word) if word in {risk.value for risk in Risk} else word


def _judged(text: str, fences: list[Fence], kind: SectionKind) -> Risk:
    """Judge a step that states no risk: by its commands, or by where it stands when it has none."""
    if fences:
        reads = all(risk_of(_runnable(fence.text), fence.language) is Risk.READ_ONLY for fence in fences)
        return Risk.READ_ONLY if reads else Risk.DISRUPTIVE
    looks = kind in {SectionKind.DIAGNOSIS, SectionKind.VERIFY} and not _CHANGES.search(text)
    return Risk.READ_ONLY if looks else Risk.DISRUPTIVE


def _runnable(block: str) -> str:
    """Return a console block's commands without their prompts and output."""
    lines = block.splitlines()
    if any(_PROMPT.match(line) and line.lstrip().startswith("$") for line in lines):
        return "\n".join(_PROMPT.sub("", line) for line in lines if line.lstrip().startswith("$ "))
    return block
