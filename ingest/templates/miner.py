"""The templates of one service: shapes, masks, Drain3's tree, variants; part of `ingest.templates`.

What is remembered is speed, never a different answer: a change of the tree forgets all lines that it may
concern, those of as many words. Memory is bounded, by entries and by characters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drain3.drain import Drain, LogCluster

from ingest.events import LogEvent
from ingest.masking import mask_shape
from ingest.shapes import Shape
from ingest.tallying import Loops
from ingest.templates.nearest import Nearest
from ingest.templates.variants import ANY, Assigned, Template, Variants, Words

SIMILARITY = 0.7
"""High, because masks of the same kind count as equal tokens."""
DEPTH = 5
_ENTRIES = 20_000
_CHARACTERS = 8_000_000


@dataclass(slots=True)
class _Text:
    """One masked line, which many shapes may have, and what it came to, until something changes."""

    words: Words
    text: str
    template: Template | None = None
    group: int | None = None


class Miner:
    """Assigns templates; `remember=False` takes every line the whole way, for comparison."""

    def __init__(self, service: str, limit: int, shape: Shape, *, remember: bool = True) -> None:
        self.variants = Variants(service, limit)
        self.service = service
        self.overflowed = 0
        self.births: list[Words] = []
        """The first line of each of Drain3's clusters, which it numbers from 1."""
        self.drain: Any = Drain(depth=DEPTH, sim_th=SIMILARITY, parametrize_numeric_tokens=False)
        self._nearest = Nearest(self.drain, self.births)
        self._limit = limit
        self._shape = shape
        self._remember = remember
        self._shapes: dict[str, _Text] = {}
        self._texts: dict[str, _Text] = {}
        self._by_path: dict[int, dict[Words, list[_Text]]] = {}
        """By number of words, and by the words that the tree goes by."""
        self._unsure: list[_Text] = []
        self._characters = 0

    def assign(self, body: str) -> Assigned:
        """Return the template of `body`, learning from it; the body itself is not kept."""
        known = self._shapes.get(shape := self._shape(body))
        if known is None or not self._remember:
            known = self._meet(shape)
        template = known.template
        if template is None:
            template = self._settle(known)
        if template is self.variants.overflow:
            self.overflowed += 1
        return template.assigned

    def ids(self, events: list[LogEvent], loops: Loops) -> list[str]:
        """Return the ids of the templates of many lines, as `assign` gives them one after the other."""
        known = self._shapes if self._remember else {}
        return loops.named(events, known, self._shape, self.variants.overflow, self.assign)

    def group(self, body: str) -> int | None:
        """Return the number of Drain3's cluster of a body, which `assign` has just been given."""
        known = self._shapes.get(self._shape(body))
        return None if known is None else known.group

    def plant(self, birth: Words, now: Words) -> None:
        """Put a cluster back: the tree's form follows from births in order, texts never move a cluster."""
        self.births.append(birth)
        number = len(self.births)
        cluster = LogCluster(list(birth), number)
        self.drain.clusters_counter = number
        self.drain.id_to_cluster[number] = cluster
        self.drain.add_seq_to_prefix_tree(self.drain.root_node, cluster)
        self._nearest.add(number)
        cluster.log_template_tokens = now

    def _meet(self, shape: str) -> _Text:
        if not self._remember or len(self._shapes) >= _ENTRIES or self._characters >= _CHARACTERS:
            self._forget()
        text = mask_shape(shape)
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = _Text(tuple(text.split()), text)
            paths = self._by_path.setdefault(len(known.words), {})
            paths.setdefault(_path(known.words), []).append(known)
            self._characters += len(text)
        self._shapes[shape] = known
        self._characters += len(shape)
        return known

    def _forget(self) -> None:
        for held in (self._shapes, self._texts, self._by_path, self._unsure):
            held.clear()
        self._characters = 0

    def _settle(self, line: _Text) -> Template:
        opened = self.variants.opened
        template, sure = self._mined(line)
        if self.variants.opened != opened:
            for other in self._unsure:
                other.template = None
            self._unsure.clear()
        if not sure:
            self._unsure.append(line)
        line.template = template
        return template

    def _mined(self, line: _Text) -> tuple[Template, bool]:
        # A family's words are endless: once clusters are scarce, it makes none of them any more.
        if len(self.births) * 2 >= self._limit and self.variants.in_family(line.words):
            return self.variants.find(line.words), False
        if len(self.births) >= self._limit and not self._fits(line.text):
            return self.variants.find(line.words), False
        cluster, change = self.drain.add_log_message(line.text)
        if change != "none":
            self._changed(change, cluster, line.words)
        line.group = cluster.cluster_id
        return self.variants.place(line.words, cluster.cluster_id, cluster.log_template_tokens)

    def _changed(self, change: str, cluster: Any, words: Words) -> None:
        if change == "cluster_created":
            self.births.append(tuple(cluster.log_template_tokens))
            self._nearest.add(len(self.births))
            if 0 <= len(self.births) * 2 - self._limit <= 1:
                for length in self._by_path:
                    self._reconsider(length)
        path = _path(words)
        self._reconsider(len(words), None if self._crowded(path, len(words)) else path)

    def _reconsider(self, length: int, path: Words | None = None) -> None:
        """Forget what lines of as many words came to, or those of one path of the tree."""
        paths = self._by_path.get(length, {})
        for lines in paths.values() if path is None else [paths.get(path, [])]:
            for line in lines:
                line.template = None

    def _crowded(self, path: Words, length: int) -> bool:
        """Say whether a node on the path has had too many words, so that several share a branch."""
        node = self.drain.root_node.key_to_child_node[str(length)]
        for word in path:
            if ANY in node.key_to_child_node:
                return True
            node = node.key_to_child_node.get(word)
            if node is None:
                return True
        return False

    def _fits(self, text: str) -> bool:
        tokens = self.drain.get_content_as_tokens(text)
        return self.drain.tree_search(self.drain.root_node, tokens, self.drain.sim_th, False) is not None


def _path(words: Words) -> Words:
    """Return the words by which Drain3's tree finds a line's clusters, after their number."""
    return words[: min(DEPTH - 3, max(len(words) - 1, 0))]
