"""The demo's own command, with the default model and no terminal: what a newcomer gets to read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.service import clean_environment


def test_the_demo_names_the_broken_service_and_leaves_a_page(
    tmp_path: Path, default_weights: Path, slow_dependency: Path
) -> None:
    """The analysis names the injected service first, cites evidence and a runbook; the page stands alone."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "models").symlink_to(default_weights)
    program = [str(Path(sys.executable).with_name("faultline")), "replay", str(slow_dependency)]
    done = subprocess.run(
        [*program, "--serve-if-terminal"],
        cwd=tmp_path,
        env=clean_environment() | {"FAULTLINE_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout
    assert re.search(r"Suspects\n\s+1\. payments\b", told), told
    cited = set(re.findall(r"\bE\d+\b", told.partition("Suspects")[2].partition("2. ")[0]))
    resolved = set(re.findall(r"^\s+(E\d+) ", told.partition("\nEvidence\n")[2], re.MULTILINE))
    assert len(cited & resolved) >= 3, told
    assert "runbook:" in told
    assert "qwen2.5-coder-1.5b" in told
    assert "degraded" not in told
    (page,) = tmp_path.glob("faultline-inc_*.html")
    text = page.read_text(encoding="utf-8")
    assert page.as_uri() in told.replace("\n", "")
    assert "<svg" in text
    assert "payments" in text
    assert not re.search(r"""(?:src|href)=["']https?://""", text), "the page must stand alone"
