"""Shippers written in Go that Debian does not pack: built from their modules into the cache, once a version.

Only what is needed is built (one receiver, one exporter), one package at a time. Takes minutes at the first
time, and Go 1.25 or later.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import yaml

from tests.shippers.programs import ShipperError, program
from tests.support.broker import REPOSITORY

COLLECTOR, COLLECTOR_CONFMAP = "0.155.0", "1.61.0"
TELEGRAF = "1.37.2"
_COLLECTOR = "go.opentelemetry.io/collector"
_CONTRIB = "github.com/open-telemetry/opentelemetry-collector-contrib"
_TELEGRAF = "github.com/influxdata/telegraf"
_TAGS = "custom,inputs.cpu,inputs.mem,inputs.system,inputs.internal,outputs.kafka,serializers.json"
_CACHE = REPOSITORY / ".cache" / "shippers"


def collector() -> Path:
    """Return an OpenTelemetry Collector of the OTLP receiver and the Kafka exporter. Raises ShipperError."""
    built = _CACHE / f"otelcol-{COLLECTOR}"
    if not built.exists():
        with tempfile.TemporaryDirectory(prefix="faultline-otelcol-") as scratch:
            plan = {
                "dist": {"name": "otelcol", "version": COLLECTOR, "output_path": f"{scratch}/main"},
                "receivers": [{"gomod": f"{_COLLECTOR}/receiver/otlpreceiver v{COLLECTOR}"}],
                "exporters": [{"gomod": f"{_CONTRIB}/exporter/kafkaexporter v{COLLECTOR}"}],
                "providers": [{"gomod": f"{_COLLECTOR}/confmap/provider/fileprovider v{COLLECTOR_CONFMAP}"}],
                "conf_resolver": {"default_uri_scheme": "file"},
            }
            Path(scratch, "plan.yaml").write_text(yaml.safe_dump(plan), encoding="utf-8")
            builder = f"{_COLLECTOR}/cmd/builder@v{COLLECTOR}"
            _go(scratch, "run", builder, "--config", "plan.yaml", "--skip-compilation")
            _build(Path(scratch, "main"), built, ".")
    return built


def telegraf() -> Path:
    """Return a Telegraf of a few inputs and the Kafka output. Raises ShipperError."""
    built = _CACHE / f"telegraf-{TELEGRAF}"
    if not built.exists():
        with tempfile.TemporaryDirectory(prefix="faultline-telegraf-") as scratch:
            _go(scratch, "mod", "init", "example.org/telegraf")
            _go(scratch, "get", "-tags", _TAGS, f"{_TELEGRAF}/cmd/telegraf@v{TELEGRAF}")
            version = f"-X {_TELEGRAF}/internal.Version={TELEGRAF}"
            _build(Path(scratch), built, f"{_TELEGRAF}/cmd/telegraf", "-tags", _TAGS, flags=version)
    return built


def _build(folder: Path, built: Path, package: str, *options: str, flags: str = "") -> None:
    built.parent.mkdir(parents=True, exist_ok=True)
    partly = built.with_suffix(f".{os.getpid()}")
    stripped = f"-ldflags=-s -w {flags}"
    _go(folder, "build", "-mod=mod", "-trimpath", stripped, *options, "-o", str(partly), package)
    partly.rename(built)


def _go(folder: Path | str, *arguments: str) -> None:
    """Run the Go tool with one worker and the least priority."""
    go = program("go", "golang-go (1.25 or later)")
    gentle = {"GOFLAGS": "-p=1 -buildvcs=false", "GOMAXPROCS": "1", "CGO_ENABLED": "0"}
    run = subprocess.run(
        ["nice", "-n", "19", go, *arguments],
        cwd=folder,
        env=os.environ | gentle,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        last = "\n".join(run.stderr.splitlines()[-15:])
        raise ShipperError(f"`go {' '.join(arguments)}` failed:\n{last}")
