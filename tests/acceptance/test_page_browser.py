"""The incident page in a real browser: it renders, it fits a phone, and its policy blocks nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.serve import run_server
from tests.support import samples, served
from tests.support.browser import browse
from tests.support.browser import colours as painted


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a full incident's page on a real server."""
    store = served.open_store(tmp_path_factory.mktemp("store"))
    identity = served.fill(store)
    server = run_server(served.client(store).app, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.port}/incidents/{identity}"
    server.stop()
    store.close()


def test_page_renders_headline_and_drawings(url: str, tmp_path: Path) -> None:
    """The browser's own tree holds the headline, the timeline and plots, and its console no refusal."""
    done = browse(url, tmp_path, "--dump-dom")
    assert f"<h1>{samples.analysis().headline}</h1>" in done.stdout
    assert done.stdout.count("<svg") > 5
    assert 'class="k-log"' in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert "Refused to" not in done.stderr


@pytest.mark.parametrize("width", [1200, 520])
def test_page_is_painted(url: str, tmp_path: Path, width: int) -> None:
    """A screenshot shows the style applied: the severity's colour, the card on its background, the bars."""
    target = tmp_path / "page.png"
    browse(url, tmp_path, f"--window-size={width},2600", f"--screenshot={target}")
    colours = painted(target)
    for name, colour in (
        ("background", (0xF6, 0xF7, 0xF9)),
        ("card", (0xFF, 0xFF, 0xFF)),
        ("severity error", (0xB3, 0x36, 0x1C)),
        ("log anomaly", (0xC2, 0x57, 0x0C)),
        ("curve", (0x16, 0x68, 0xB5)),
        ("incident shade", (0xFD, 0xEE, 0xE6)),
    ):
        assert colours.get(colour, 0) > 20, name
