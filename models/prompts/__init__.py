"""The prompt registry: every prompt a versioned file beside this one, `<id>.v<version>.md`.

A file has YAML front matter (`id`, `version`, `description`) and a body with a `# system` and a `# user`
section. `${field}` marks what the caller fills in; filled-in text is never scanned again, so telemetry
cannot name a field. A prompt is frozen once released: a change is a new version with a new file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template
from typing import Any

import yaml
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

_FILE = re.compile(r"\A---\n(?P<front>.*?)\n---\n(?P<body>.*)\Z", re.DOTALL)
_BODY = re.compile(r"\A\s*# system\n(?P<system>.*?)\n# user\n(?P<user>.*)\Z", re.DOTALL)
_NAME = re.compile(r"(?P<id>[a-z][a-z0-9_]*)\.v(?P<version>[1-9][0-9]*)\.md")


class PromptError(Exception):
    """A prompt file, or the fields given to it, do not fit; the message says which and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One version of a prompt. `sha256` is that of its file's text."""

    id: str
    version: int
    description: str
    system: str
    user: str
    sha256: str

    @property
    def label(self) -> str:
        """The form that provenance carries: `explain@1`."""
        return f"{self.id}@{self.version}"

    @property
    def fields(self) -> frozenset[str]:
        """The names that `messages` wants filled in."""
        return frozenset(Template(self.system).get_identifiers() + Template(self.user).get_identifiers())

    def messages(self, fields: Mapping[str, str]) -> list[BaseMessage]:
        """Return the system and the user message; `PromptError` unless exactly its fields are given."""
        if wrong := self.fields.symmetric_difference(fields):
            raise PromptError(f"{self.label} takes the fields {sorted(self.fields)}; wrong: {sorted(wrong)}.")
        return [
            SystemMessage(Template(self.system).substitute(fields)),
            HumanMessage(Template(self.user).substitute(fields)),
        ]


def parse_prompt(name: str, text: str) -> Prompt:
    """Read one prompt file; `PromptError` where name, front matter and body do not fit together."""
    named, parts = _NAME.fullmatch(name), _FILE.match(text)
    if named is None:
        raise PromptError(f"{name}: prompt files are called `<id>.v<version>.md`.")
    if parts is None or (body := _BODY.match(parts["body"])) is None:
        raise PromptError(f"{name}: wanted are front matter, then `# system`, then `# user`.")
    front = _front_matter(name, parts["front"])
    if (front["id"], front["version"]) != (named["id"], int(named["version"])):
        raise PromptError(f"{name}: its front matter says {front['id']!r} version {front['version']!r}.")
    prompt = Prompt(
        id=named["id"],
        version=int(named["version"]),
        description=str(front["description"]),
        system=body["system"].strip(),
        user=body["user"].strip(),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    if not (Template(prompt.system).is_valid() and Template(prompt.user).is_valid()):
        raise PromptError(f"{name}: a `$` that starts no `${{field}}` is written `$$`.")
    return prompt


def _front_matter(name: str, text: str) -> dict[str, Any]:
    try:
        front = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PromptError(f"{name}: its front matter is no YAML: {error}") from error
    if not isinstance(front, dict) or set(front) != {"id", "version", "description"}:
        raise PromptError(f"{name}: front matter has exactly `id`, `version` and `description`.")
    return front


def load_prompts(folder: Traversable | None = None) -> dict[str, Prompt]:
    """Return all prompts of a folder, by default the shipped ones, by label and in its order."""
    place = resources.files(__name__) if folder is None else folder
    files = [file for file in place.iterdir() if file.name.endswith(".md")]
    prompts = [parse_prompt(file.name, file.read_text(encoding="utf-8")) for file in files]
    return {prompt.label: prompt for prompt in sorted(prompts, key=lambda each: (each.id, each.version))}


def find_prompt(label: str, prompts: Mapping[str, Prompt]) -> Prompt:
    """Return the prompt of that label (`explain@1`), or the newest version for a bare id."""
    versions = [prompt for prompt in prompts.values() if label in {prompt.label, prompt.id}]
    if not versions:
        raise PromptError(f"No prompt is called {label!r}. Known: {', '.join(prompts) or 'none'}.")
    return max(versions, key=lambda prompt: prompt.version)
