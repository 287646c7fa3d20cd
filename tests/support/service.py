"""`faultline run` as a real process: configured by a file, asked over HTTP, ended by SIGTERM."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from prometheus_client.parser import text_string_to_metric_families

FAULTLINE = Path(sys.executable).with_name("faultline")
PATIENCE_S = 60.0
"""How long one step may take on a busy machine; nothing passes or fails by being fast."""

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, *, within: float = PATIENCE_S) -> T:
    """Look until there is something, and return it; fail saying what did not come within `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {within:g} s: {what}")
        time.sleep(0.1)


def clean_environment() -> dict[str, str]:
    """Return our environment without settings: a variable, like the Makefile's own, wins over a file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FAULTLINE_")}


class RunningService:
    """One `faultline run`. Its output goes to a file, whose end every failure shows."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self._log = process, log
        self.url = ""

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self) -> None:
        """Return once the service reads its topics. Raises AssertionError with the end of its log."""
        self.url = self.eventually(self._address, "faultline run listens")
        self.eventually(lambda: self.status("/readyz") == 200, "faultline run is ready")

    def eventually(self, look: Callable[[], T | None], what: str, *, within: float = PATIENCE_S) -> T:
        """Look until there is something, as long as the process lives."""

        def watched() -> T | None:
            code = self.process.poll()
            if code is not None:
                raise AssertionError(f"faultline run ended with {code} before: {what}\n{self._tail()}")
            return look()

        try:
            return eventually(watched, what, within=within)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._tail()}") from None

    def get(self, path: str) -> Any:
        """Return the JSON at `path`, None where there is none (404)."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def status(self, path: str) -> int:
        """Return the HTTP status of `path`."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def metrics(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """Return what `/metrics` shows now: (sample name, label values) → value."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def terminate(self, within: float = PATIENCE_S) -> int:
        """Send SIGTERM and return the exit code. Raises TimeoutExpired after `within` seconds."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=within)

    def _address(self) -> str | None:
        found = re.search(r"^listening on (http://\S+)$", self.log, flags=re.MULTILINE)
        return found[1] if found else None

    def _tail(self) -> str:
        return "\n".join(self.log.splitlines()[-25:])


@contextmanager
def running_service(settings: Mapping[str, Any], folder: Path) -> Iterator[RunningService]:
    """Start `faultline run` with `settings`, yield it when it is ready; whatever is left is killed."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "faultline.yaml"
    config.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
    log = folder / "faultline.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [FAULTLINE, "run", "--config", config],
            stdout=out,
            stderr=out,
            env=clean_environment(),
            cwd=folder,
        )
    service = RunningService(process, log)
    try:
        service.wait_until_ready()
        yield service
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
