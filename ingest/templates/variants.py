"""Which lines of a service are one template, after Drain3 said which are alike; part of `ingest.templates`.

Drain3 makes one cluster of lines that have most words in common. Where they differ in a few plain words, the
words are states (`begin`, `end`) and each is a template of its own; where they differ in many, they are
values and all are one. So a place is *open* from the moment on at which it has had too many words. The other
way round, lines that Drain3 holds apart are a *family*, one template, when one place alone tells them apart
and has had too many words. Places that hold masks are open from the start. Nothing opened closes again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ingest.ids import digest
from ingest.masking import MASKING_VERSION

OVERFLOW = "<overflow>"
ANY = "<*>"
WORDS = 5
"""Different words from which on a place holds values."""
MORE_WORDS = 10
"""The same for a line's first word and for names in capitals, which are states far more often."""
LONGEST_FAMILY = 32
"""Words of a line, past which no family is looked for: what is kept of one grows with their square."""
MOST_FORMS = 64
"""Forms of one cluster, from which on all its places are open."""

Words = tuple[str, ...]

_KIND = re.compile(r"<(?!secret\b|pii\b)[a-z]{1,20}>")
_NAMING = re.compile(r"(?:[^<>]|<\*>)*[A-Za-z](?:[^<>]|<\*>)*\Z")
_WORD = re.compile(r"[^<>]*[A-Za-z][^<>]*\Z")
_ERROR = re.compile(r"[A-Za-z](?:Exception|Error|Fault|Panic|Throwable)\b")
"""The name of an error: never a value, however many there are."""
_CAPITALS = re.compile(r"[^a-z]*[A-Z][^a-z]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """The template of a body: its id for good, its text as known now."""

    template_id: str
    template: str


@dataclass(slots=True)
class Template:
    """A template, or what became an alias of an older one (its `root`). Numbered in order of birth."""

    number: int
    template_id: str
    birth: Words
    shown: Words
    root: int
    assigned: Assigned
    """That of the root: whoever holds an alias gives what became of it."""
    aliases: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Forms:
    """The forms in which a cluster's lines have come, oldest first, and its places that hold values."""

    keys: dict[Words, None] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)


def key_of(words: Iterable[str]) -> Words:
    """Return masked words with every kind of value as `<*>`: kinds do not tell templates apart."""
    return tuple([_KIND.sub(ANY, word) if "<" in word else word for word in words])


class Variants:
    """The templates of one service, at most `limit`."""

    def __init__(self, service: str, limit: int) -> None:
        self._service = service
        self._limit = limit
        self.templates: list[Template] = []
        self.known: dict[Words, int] = {}
        """The template of each form seen, maybe by an alias's number."""
        self.clusters: dict[int, Forms] = {}
        self.families: dict[Words, int] = {}
        """The template of any line that fits where `<*>` stands."""
        self._candidates: dict[Words, tuple[tuple[str, int], ...]] = {}
        self.opened = 0
        """Rises whenever a line that no form is known of may get another template than before."""
        # No line has an empty word, so none is born with the overflow's id.
        overflow_id = digest("tpl", service, MASKING_VERSION, OVERFLOW, "")
        shown = Assigned(template_id=overflow_id, template=OVERFLOW)
        self.overflow = Template(-1, overflow_id, (), (OVERFLOW,), -1, shown)
        self.numbers: dict[str, int] = {}
        self.merged = 0
        self.renamed: list[str] = []
        """Ids that became aliases and have not been told yet."""

    def find(self, words: Words) -> Template:
        """Return the template of a line without a cluster: that of its form or family, else the overflow."""
        key = key_of(words)
        number = self.known.get(key)
        if number is None:
            number = self._family(key)[1]
        return self.overflow if number is None else self.root(number)

    def in_family(self, words: Words) -> bool:
        """Say whether a line of no known form fits a family."""
        key = key_of(words)
        return key not in self.known and self._family(key)[1] is not None

    def place(self, words: Words, cluster: int, text: Sequence[str]) -> tuple[Template, bool]:
        """Return the template of a line, given its cluster and its text; and whether that is for good.

        What is not may be another one after `opened` has risen.
        """
        forms = self.clusters.get(cluster)
        if forms is None:
            forms = self.clusters[cluster] = Forms()
        varying = [place for place, word in enumerate(text) if word == ANY]
        key = _generalised(key_of(words), varying, forms.open)
        number, sure = self.known.get(key), True
        if number is None:
            key, number = self._family(key)
            sure = False
        if number is None:
            if len(self.templates) >= self._limit:
                return self._limited(forms), False
            sure, number = True, self._born(key, words)
        forms.keys[key] = None
        self._regroup(forms, varying)
        root = self.root(number)
        self._show(root, words)
        return root, sure

    def root(self, number: int) -> Template:
        """Return the template that `number` is, or has become an alias of."""
        return self.templates[self.templates[number].root]

    def know(self, key: Words, number: int) -> None:
        """Note a form, and whether it makes a family with others."""
        self.known[key] = number
        self.opened += 1
        for word, member in self._candidates.get(key, ()):
            if ANY in word:
                self.unite(number, member)
        for place, pattern in _patterns(key):
            # A word that is partly a value, where another line has nothing else: the same value.
            if ANY in key[place] and pattern in self.known:
                self.unite(self.known[pattern], number)
            if pattern in self.families:
                self.unite(self.families[pattern], number)
                continue
            members = (*self._candidates.get(pattern, ()), (key[place], number))
            self._candidates[pattern] = members
            if len(members) >= WORDS and len(members) >= _too_many(place, [word for word, _ in members]):
                self._open(pattern, [number for _, number in members])

    def _open(self, pattern: Words, members: list[int]) -> None:
        del self._candidates[pattern]
        oldest = min(self.templates[number].root for number in members)
        self.families[pattern] = oldest
        for number in members:
            self.unite(oldest, number)
        if pattern in self.known:
            self.unite(self.known[pattern], oldest)
        else:
            self.know(pattern, oldest)

    def _family(self, key: Words) -> tuple[Words, int | None]:
        if self.families:
            for _, pattern in _patterns(key):
                number = self.families.get(pattern)
                if number is not None:
                    return pattern, number
        return key, None

    def _limited(self, forms: Forms) -> Template:
        """Past the limit lines that are alike are one template, if they have any."""
        return self.root(self.known[next(iter(forms.keys))]) if forms.keys else self.overflow

    def id_of(self, key: Words) -> str:
        """Return the id of a template born with this form."""
        return digest("tpl", self._service, MASKING_VERSION, *key)

    def _born(self, key: Words, words: Words) -> int:
        number = len(self.templates)
        self.put_back(self.id_of(key), key, _shown(words, key), number)
        self.know(key, number)
        return number

    def put_back(self, template_id: str, birth: Words, shown: Words, root: int) -> None:
        """Add a template without anything that follows from it; an alias comes after what it stands for."""
        number = len(self.templates)
        assigned = Assigned(template_id=template_id, template=" ".join(shown))
        if root != number:
            assigned = self.templates[root].assigned
            self.templates[root].aliases.append(number)
            self.merged += 1
        self.templates.append(Template(number, template_id, birth, shown, root, assigned))
        self.numbers[template_id] = number

    def _regroup(self, forms: Forms, varying: list[int]) -> None:
        """Open the places that have had too many words, and unite what no longer differs."""
        keys = forms.keys
        for place in varying:
            if place not in forms.open:
                words = {key[place] for key in keys if _varies(key[place])}
                if len(keys) > MOST_FORMS or len(words) >= _too_many(place, words):
                    forms.open.add(place)
                    self.opened += 1
        for key in list(keys):
            general = _generalised(key, varying, forms.open)
            if general != key:
                number = self.known[key]
                if general in self.known:
                    self.unite(self.known[general], number)
                else:
                    self.know(general, number)
                del keys[key]
                keys[general] = None

    def unite(self, one: int, other: int) -> None:
        """Make the younger an alias of the older; they have as many words as each other."""
        old, young = sorted((self.templates[one].root, self.templates[other].root))
        if old == young:
            return
        self.opened += 1
        self.merged += 1
        root, gone = self.templates[old], self.templates[young]
        self.renamed.append(gone.template_id)
        root.aliases += (young, *gone.aliases)
        gone.aliases = []
        for number in root.aliases:
            self.templates[number].root = old
        self._change(root, _general(root.shown, gone.shown))

    def _show(self, root: Template, words: Words) -> None:
        shown = _general(root.shown, words)
        if shown != root.shown:
            self._change(root, shown)

    def _change(self, root: Template, shown: Words) -> None:
        root.shown = shown
        root.assigned = Assigned(template_id=root.assigned.template_id, template=" ".join(shown))
        for number in root.aliases:
            self.templates[number].assigned = root.assigned


def _patterns(key: Words) -> Iterator[tuple[int, Words]]:
    """Yield the key with each of its words open in turn, as long as another word, or a sign (`->`), stays."""
    if len(key) > LONGEST_FAMILY:
        return
    words = [place for place, word in enumerate(key) if _NAMING.match(word) and not _ERROR.search(word)]
    if len(words) > 1 or any(ANY not in word and not _WORD.match(word) for word in key):
        for place in words:
            yield place, (*key[:place], ANY, *key[place + 1 :])


def _generalised(key: Words, varying: list[int], opened: set[int]) -> Words:
    general = list(key)
    for place in varying:
        if place in opened or not _WORD.match(key[place]):
            general[place] = ANY
    return tuple(general)


def _varies(word: str) -> bool:
    return bool(_WORD.match(word)) and not _ERROR.search(word)


def _too_many(place: int, words: Collection[str]) -> int:
    capitals = sum(1 for word in words if _CAPITALS.match(word))
    return MORE_WORDS if place == 0 or capitals * 5 >= len(words) * 4 else WORDS


def _shown(words: Words, key: Words) -> Words:
    """Return the words, with `<*>` where the key holds more than the words' kinds."""
    return tuple([
        word if word == part or _KIND.sub(ANY, word) == part else part
        for word, part in zip(words, key, strict=True)
    ])  # fmt: skip


def _general(shown: Words, words: Words) -> Words:
    if shown == words:
        return shown
    return tuple([
        one if one == other else _either(one, other) for one, other in zip(shown, words, strict=True)
    ])  # fmt: skip


def _either(one: str, other: str) -> str:
    kinds = _KIND.sub(ANY, one)
    return kinds if kinds == _KIND.sub(ANY, other) else ANY
