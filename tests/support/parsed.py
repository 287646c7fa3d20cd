"""A page as a browser would find it: tags, attributes, text."""

from __future__ import annotations

from html.parser import HTMLParser

from ingest.record import SECOND
from tests.support import samples

NOW = samples.T0 + 300 * SECOND


class Parsed(HTMLParser):
    """Tags with attributes and the text between them, as a browser would find them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """Return all text with single spaces."""
        return " ".join(" ".join(self.texts).split())
