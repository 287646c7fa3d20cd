"""Prometheus with an alerting rule, and Alertmanager that tells a webhook: an alert fires and is resolved.

One target is scraped, whose error rate the caller sets. Everything is tuned to tenths of a second, because
what is waited for is the programs' own doing; a scrape that is missed on a busy machine ends no alert.
"""

from __future__ import annotations

import contextlib
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from tests.shippers.programs import program, running, until
from tests.support.ports import free_port

ALERTS = (("CheckoutErrors", "critical", 0.05), ("CheckoutSlowBurn", "warning", 0.01))
"""Alert, severity, and the share of failed orders above which it fires."""
_QUICK = "200ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerting:
    """A running pair of Prometheus and Alertmanager, and the one number that their rules look at."""

    errors: Gauge
    tail: Callable[[], str]


@contextlib.contextmanager
def running_alerting(webhook: str) -> Iterator[Alerting]:
    """Run both programs; alerts go to `webhook`. Raises ShipperError where one does not start."""
    registry = CollectorRegistry()
    errors = Gauge("checkout_error_ratio", "Share of orders that fail", registry=registry)
    target, manager, server = free_port(), free_port(), free_port()
    exporter, thread = start_http_server(target, addr="127.0.0.1", registry=registry)
    try:
        with tempfile.TemporaryDirectory(prefix="faultline-alerting-") as scratch:
            folder = Path(scratch)
            with (
                running(_alertmanager(folder, manager, webhook), folder) as manager_tail,
                running(_prometheus(folder, server, target, manager), folder) as server_tail,
            ):
                until(lambda: _ready(manager), "Alertmanager is ready", manager_tail)
                until(lambda: _ready(server), "Prometheus is ready", server_tail)
                yield Alerting(errors=errors, tail=lambda: f"{server_tail()}\n{manager_tail()}")
    finally:
        exporter.shutdown()
        exporter.server_close()
        thread.join()


def _alertmanager(folder: Path, port: int, webhook: str) -> list[str]:
    """Write Alertmanager's configuration and return its command."""
    route = {
        "receiver": "faultline",
        "group_by": ["service"],
        "group_wait": "0s",
        "group_interval": _QUICK,
        "repeat_interval": "1h",
    }
    receiver = {"name": "faultline", "webhook_configs": [{"url": webhook, "send_resolved": True}]}
    conf = folder / "alertmanager.yaml"
    conf.write_text(yaml.safe_dump({"route": route, "receivers": [receiver]}), encoding="utf-8")
    return [
        program("prometheus-alertmanager", "prometheus-alertmanager"),
        f"--config.file={conf}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.external-url=http://alertmanager.example.org/",
        "--web.route-prefix=/",
        "--cluster.listen-address=",
    ]


def _prometheus(folder: Path, port: int, target: int, manager: int) -> list[str]:
    """Write Prometheus's configuration and rules, and return its command."""
    rules = [
        {
            "alert": name,
            "expr": f"max by (job, instance) (last_over_time(checkout_error_ratio[1m])) > {above}",
            "labels": {"severity": severity, "service": "checkout", "team": "shop"},
            "annotations": {
                "summary": "{{ $value | humanizePercentage }} of orders fail",
                "description": "checkout on {{ $labels.instance }} fails orders.\nSee the dashboard.",
                "runbook_url": "https://runbooks.example.org/checkout-errors",
            },
        }
        for name, severity, above in ALERTS
    ]
    (folder / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "shop", "interval": _QUICK, "rules": rules}]}), encoding="utf-8"
    )
    labels = {"instance": "checkout-1:9100"}
    told = {
        "global": {
            "scrape_interval": _QUICK,
            "scrape_timeout": _QUICK,
            "evaluation_interval": _QUICK,
            "external_labels": {"deployment_environment_name": "prod"},
        },
        "rule_files": ["rules.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]},
        "scrape_configs": [
            {
                "job_name": "checkout",
                "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": labels}],
            }
        ],
    }
    conf = folder / "prometheus.yaml"
    conf.write_text(yaml.safe_dump(told), encoding="utf-8")
    return [
        program("prometheus", "prometheus"),
        f"--config.file={conf}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.external-url=http://prometheus.example.org/",
        "--web.route-prefix=/",
        "--rules.alert.resend-delay=10s",
    ]


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
