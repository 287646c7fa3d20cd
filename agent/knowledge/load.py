"""Reads a folder of Markdown into runbooks: ours with front matter, or anybody's without.

Never stops at a bad file: it is left out and reported with file and line, so that one typo does not take all
runbooks away. Files come in path order. Blocking: reads every `.md` below the folder once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import yaml

from agent.analysis import Mechanism, Severity
from agent.knowledge.markdown import lines_of, sections_of, title_of
from agent.knowledge.runbook import Library, Problem, Runbook

LARGEST_FILE = 1024 * 1024
_FENCE = "---"
KEYS = ("id", "title", "alerts", "symptoms", "services", "mechanisms", "severity")


class RunbookError(Exception):
    """A file that is no runbook; `problem` says where and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


class RunbookFolderError(Exception):
    """The folder itself cannot be used."""


@dataclass(frozen=True, slots=True)
class _FrontMatter:
    path: str
    values: dict[str, object]
    text: str

    def line_of(self, key: str) -> int:
        lines = self.text.splitlines()
        return next((n for n, line in enumerate(lines, start=1) if line.startswith(f"{key}:")), 1)

    def error(self, key: str, message: str) -> RunbookError:
        return RunbookError(Problem(path=self.path, line=self.line_of(key), message=message))

    def words(self, key: str) -> tuple[str, ...]:
        """Return a list of phrases; one phrase alone counts as a list of one."""
        value = self.values.get(key)
        if value is None:
            return ()
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | float) for item in items):
            raise self.error(key, f"`{key}` must be a list of phrases, like `{key}: [one, two]`")
        return tuple(str(item) for item in items)

    def word(self, key: str) -> str:
        words = self.words(key)
        if len(words) > 1:
            raise self.error(key, f"`{key}` must be one value, not a list")
        return words[0].strip() if words else ""


def load_folder(folder: Path) -> Library:
    """Read every `.md` file below `folder`; raises `RunbookFolderError` when it is no readable folder."""
    if not folder.is_dir():
        raise RunbookFolderError(f"{folder} is no folder: give a folder with Markdown runbooks")
    runbooks: list[Runbook] = []
    problems: list[Problem] = []
    for file in sorted(folder.rglob("*.md")):
        relative = file.relative_to(folder)
        if any(part.startswith(".") for part in relative.parts) or file.name.upper() == "README.MD":
            continue
        try:
            runbook, advice = read_runbook(file, relative.as_posix())
            runbooks.append(runbook)
            problems.extend(advice)
        except RunbookError as error:
            problems.append(error.problem)
    return Library(runbooks=tuple(_unique(runbooks, problems)), problems=tuple(problems))


def _unique(runbooks: Sequence[Runbook], problems: list[Problem]) -> list[Runbook]:
    first: dict[str, Runbook] = {}
    for runbook in runbooks:
        other = first.setdefault(runbook.id, runbook)
        if other is not runbook:
            message = f"id `{runbook.id}` is taken by {other.path}: choose another"
            problems.append(Problem(path=runbook.path, line=1, message=message))
    return list(first.values())


def read_runbook(file: Path, path: str) -> tuple[Runbook, tuple[Problem, ...]]:
    """Read one file, with what is wrong but bearable; raises `RunbookError` naming `path` and the line."""
    try:
        if file.stat().st_size > LARGEST_FILE:
            raise RunbookError(Problem(path=path, line=1, message="larger than 1 MiB: split it"))
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RunbookError(Problem(path=path, line=line, message="not UTF-8: save it as UTF-8")) from error
    except OSError as error:
        message = f"cannot be read ({error.strerror}): check the file and its permissions"
        raise RunbookError(Problem(path=path, line=1, message=message)) from error
    return parse_runbook(text, path)


def parse_runbook(text: str, path: str) -> tuple[Runbook, tuple[Problem, ...]]:
    """Turn a file's text into a runbook, with what is wrong but bearable; raises `RunbookError`. Pure."""
    front, body, first_line = _split(text, path)
    lines, open_fence = lines_of(body, first_line)
    stem = path.rsplit("/", 1)[-1].removesuffix(".md")
    heading = title_of(lines)
    title = front.word("title") or heading or stem
    sections = sections_of(lines, title)
    if not sections:
        raise RunbookError(
            Problem(path=path, line=first_line, message="no text: write a section or delete it")
        )
    given = front.word("id")
    names = tuple(name for name in dict.fromkeys((heading, stem)) if name and name != title and name != given)
    runbook = Runbook(
        id=given or path.removesuffix(".md"),
        title=title,
        names=names if not given else tuple(name for name in names if name == heading),
        alerts=front.words("alerts"),
        symptoms=front.words("symptoms"),
        services=front.words("services"),
        mechanisms=_mechanisms(front),
        severity=_severity(front),
        sections=sections,
        path=path,
        ours=bool(given),
    )
    return runbook, (*_open_fence(path, open_fence), *_unknown_keys(front))


def _open_fence(path: str, line: int | None) -> tuple[Problem, ...]:
    message = "code fence is never closed: what follows is taken as code; close it"
    return () if line is None else (Problem(path=path, line=line, message=message),)


def _unknown_keys(front: _FrontMatter) -> tuple[Problem, ...]:
    """Only for our front matter: other tools' keys in a plain runbook are none of our business."""
    if "id" not in front.values:
        return ()
    return tuple(
        Problem(path=front.path, line=front.line_of(key), message=f"unknown key `{key}`: {_nearest(key)}")
        for key in front.values
        if key not in KEYS
    )


def _nearest(key: str) -> str:
    near = get_close_matches(key, KEYS, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known are {', '.join(KEYS)}"


def _split(text: str, path: str) -> tuple[_FrontMatter, str, int]:
    """Return front matter, the text after it, and the number of that text's first line."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != _FENCE:
        return _FrontMatter(path, {}, ""), text, 1
    end = next((n for n, line in enumerate(lines[1:], start=1) if line.strip() == _FENCE), None)
    if end is None:
        message = "front matter begins with `---` and never ends: close it with `---`"
        raise RunbookError(Problem(path=path, line=1, message=message))
    front = "\n".join(["", *lines[1:end]])
    try:
        values = yaml.safe_load(front)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = f"front matter is no YAML ({getattr(error, 'problem', None) or 'cannot be parsed'})"
        raise RunbookError(Problem(path=path, line=mark.line + 1 if mark else 1, message=message)) from error
    if values is not None and not isinstance(values, dict):
        message = "front matter must be `key: value` lines"
        raise RunbookError(Problem(path=path, line=2, message=message))
    fields = {str(key): value for key, value in (values or {}).items()}
    return _FrontMatter(path, fields, front), "\n".join(lines[end + 1 :]), end + 2


def _mechanisms(front: _FrontMatter) -> tuple[Mechanism, ...]:
    known = {mechanism.value: mechanism for mechanism in Mechanism}
    words = front.words("mechanisms")
    for word in words:
        if word not in known:
            raise front.error("mechanisms", f"unknown mechanism `{word}`: one of {', '.join(sorted(known))}")
    return tuple(known[word] for word in words)


def _severity(front: _FrontMatter) -> Severity | None:
    word = front.word("severity").lower()
    known = {severity.value: severity for severity in Severity}
    if word and word not in known and front.word("id"):
        raise front.error("severity", f"unknown severity `{word}`: one of {', '.join(known)}")
    return known.get(word)
