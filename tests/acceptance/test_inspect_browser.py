"""The page of `faultline inspect` in a real browser: painted, narrow and wide, deaf to telemetry."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli import main
from tests.acceptance.conftest import RECORDINGS
from tests.support.browser import browse, colours
from tests.support.inspected import interval, log, point, write

_ATTACK = "<img src=x onerror=\"document.title='taken'\"></pre><script>document.title='taken'</script>"
_MEASURE = """<!DOCTYPE html><iframe id="f" src="{page}" width="{width}" height="900"></iframe><script>
document.getElementById("f").onload = event => {{
  const found = event.target.contentDocument.documentElement
  document.body.dataset.wide = found.scrollWidth + " of " + found.clientWidth
}}</script>"""


class _Silent(SimpleHTTPRequestHandler):
    """Serves a folder without talking."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        del format, args


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a shipped recording, as the command writes it."""
    target = tmp_path_factory.mktemp("inspect") / "page.html"
    done = CliRunner().invoke(main, ["inspect", str(RECORDINGS / "pool-exhausted"), "--out", str(target)])
    assert done.exit_code == 0, done.output
    return target


@pytest.fixture
def address(page: Path) -> Iterator[str]:
    """Serve the page's folder to a browser that may look into a frame of the same origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silent, directory=str(page.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("width", [1200, 500])
def test_page_is_painted(page: Path, tmp_path: Path, width: int) -> None:
    """A screenshot holds the deepest colour of strips, shades, curves, and log lines by severity."""
    target = tmp_path / "page.png"
    browse(page.as_uri(), tmp_path, f"--window-size={width},{2_000_000 // width}", f"--screenshot={target}")
    found = colours(target)
    for name, colour in (
        ("card", (0xFF, 0xFF, 0xFF)),
        ("strip at its worst", (0xB3, 0x26, 0x1E)),
        ("strip as usual", (0xEE, 0xF1, 0xF4)),
        ("incident shade", (0xFD, 0xEA, 0xDF)),
        ("normal times", (0xBF, 0xE3, 0xCC)),
        ("curve", (0x16, 0x68, 0xB5)),
        ("errors logged", (0xC6, 0x2F, 0x22)),
        ("capacity", (0x7A, 0x1F, 0x6D)),
    ):
        assert found.get(colour, 0) > 20, name


def test_nothing_is_refused_or_fetched(page: Path, tmp_path: Path) -> None:
    """The page's own policy blocks nothing of it, and the truth's service stands open with its plots."""
    done = browse(page.as_uri(), tmp_path, "--dump-dom")
    assert "Refused to" not in done.stderr
    assert "Content Security Policy" not in done.stderr
    assert re.search(
        r'<details class="card service" open="">\s*<summary>\s*<span class="title">inventory', done.stdout
    )
    assert done.stdout.count("<figure>") > 20


@pytest.mark.parametrize("width", [420, 1200])
def test_page_fits_its_width(page: Path, address: str, tmp_path: Path, width: int) -> None:
    """Nothing sticks out sideways, on a phone neither."""
    (page.parent / "frame.html").write_text(_MEASURE.format(page=page.name, width=width))
    done = browse(f"{address}/frame.html", tmp_path, "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(r'data-wide="(\d+) of (\d+)"', done.stdout)
    assert found, done.stdout[-500:]
    assert int(found[1]) <= int(found[2])


def test_telemetry_cannot_take_the_page(tmp_path: Path) -> None:
    """Markup in names and lines is shown as text by a real parser too."""
    folder = write(
        tmp_path / "attack",
        {"id": _ATTACK, "incident": interval(300, 600)},
        logs=[log(t, _ATTACK, service=_ATTACK, severity="ERROR") for t in range(300, 600, 5)],
        metrics=[point(t, float(t > 300), _ATTACK, service=_ATTACK) for t in range(0, 600, 5)],
    )
    target = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["inspect", str(folder), "--out", str(target)])
    assert done.exit_code == 0, done.output
    shown = browse(target.as_uri(), tmp_path, "--dump-dom").stdout
    assert "<title>taken" not in shown
    assert "<img" not in shown
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
