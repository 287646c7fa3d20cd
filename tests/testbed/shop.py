"""The shop as a whole: what runs, in which order, and what an operator can do to it.

Everything is private to one run: a scratch folder, free ports, processes that end with this one.
"""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.testbed.databases import Postgres, Redis
from tests.testbed.processes import Child, ProcessError, start_python
from tests.testbed.services.telemetry import CHANGES, ENVIRONMENT, open_producer, pod_name

VERSIONS = {
    "catalog": "1.8.0",
    "inventory": "3.0.4",
    "orders": "2.3.1",
    "payments": "1.12.2",
    "cart": "1.4.0",
    "checkout": "4.1.0",
    "storefront": "6.2.3",
}
"""Callees before their callers: the order of starting."""
NEIGHBOURS = {
    "catalog": ("postgres", "redis"),
    "inventory": ("postgres",),
    "orders": ("postgres",),
    "payments": ("acquirer", "redis"),
    "cart": ("redis", "catalog"),
    "checkout": ("cart", "inventory", "payments", "orders"),
    "storefront": ("catalog", "cart", "inventory", "orders", "checkout"),
}
READY_S = 60.0


class Shop:
    """Redis, PostgreSQL, seven services, their collector, the acquirer and the customers."""

    def __init__(
        self, scratch: Path, bootstrap: str, *, rate: float, traces: float, seed: int, niceness: int = 0
    ) -> None:
        self._scratch = scratch
        self._bootstrap = bootstrap
        self._rate = rate
        self._traces = traces
        self._seed = seed
        self._niceness = niceness
        self._redis = Redis(scratch / "redis", niceness=niceness)
        self._postgres = Postgres(scratch / "postgres", niceness=niceness)
        self._ports = {name: free_port() for name in ("acquirer", *VERSIONS)}
        self._services: dict[str, Child] = {}
        self._others: list[Child] = []
        self._load: Child | None = None

    def start(self) -> None:
        """Start everything but the customers. Raises ProcessError with the failed one's console."""
        self._redis.start()
        self._postgres.start(seed=self._seed)
        self._others.append(
            start_python(
                "acquirer",
                "tests.testbed.acquirer",
                str(self._ports["acquirer"]),
                str(self._seed),
                console=self._scratch / "acquirer.console",
                niceness=self._niceness,
            )
        )
        self._others.append(self._start_collector())
        for name, version in VERSIONS.items():
            self._services[name] = self._start_service(name, version)
        for name, version in VERSIONS.items():
            self._wait_until_ready(name, version, self._services[name])

    def _start_collector(self) -> Child:
        environment = {
            "SHOP_KAFKA": self._bootstrap,
            "SHOP_URL_REDIS": self._redis.url,
            "SHOP_URL_POSTGRES": self._postgres.url("postgres"),
            "SHOP_LOG_REDIS": str(self._redis.log),
            "SHOP_LOG_POSTGRES": str(self._postgres.log),
        }
        console = self._scratch / "collector.console"
        return start_python(
            "collector",
            "tests.testbed.collector",
            console=console,
            environment=environment,
            niceness=self._niceness,
        )

    def _start_service(self, name: str, version: str) -> Child:
        urls = {
            "postgres": self._postgres.url(),
            "redis": self._redis.url,
            "acquirer": f"127.0.0.1:{self._ports['acquirer']}",
            **{other: self.url(other) for other in VERSIONS},
        }
        environment = {
            "SHOP_PORT": str(self._ports[name]),
            "SHOP_KAFKA": self._bootstrap,
            "SHOP_POD": pod_name(name),
            "SHOP_VERSION": version,
            "SHOP_TRACES": str(self._traces),
            **{f"SHOP_URL_{other.upper()}": urls[other] for other in NEIGHBOURS[name]},
        }
        console = self._scratch / f"{name}.console"
        return start_python(
            name,
            "tests.testbed.services",
            name,
            console=console,
            environment=environment,
            niceness=self._niceness,
        )

    def _wait_until_ready(self, name: str, version: str, child: Child) -> None:
        """Wait until a process of this version answers. It may share the port with an older one."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            child.require()
            try:
                with urllib.request.urlopen(f"{self.url(name)}/_health", timeout=2) as answer:
                    if json.load(answer)["version"] == version:
                        return
            except OSError:
                pass
            time.sleep(0.2)
        raise ProcessError(f"{name} {version} did not answer within {READY_S:g}s:\n{child.tail()}")

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def open_doors(self) -> None:
        """Let the customers in."""
        self._load = start_python(
            "load",
            "tests.testbed.load",
            self.url("storefront"),
            str(self._rate),
            str(self._seed),
            console=self._scratch / "load.console",
            niceness=self._niceness,
        )

    def require(self) -> None:
        """Raise ProcessError when any process has ended by itself."""
        for child in [*self._services.values(), *self._others, *([self._load] if self._load else [])]:
            child.require()

    def post(self, service: str, path: str, body: dict[str, Any]) -> None:
        """Use one of a process's testbed endpoints."""
        request = urllib.request.Request(
            f"{self.url(service)}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            answer.read()

    def deploy(self, service: str, version: str, title: str) -> None:
        """Replace a service's process by one of another version without a gap, and announce it."""
        old = self._services[service]
        new = self._start_service(service, version)
        self._announce(service, version, title)
        self._services[service] = new
        try:
            self._wait_until_ready(service, version, new)
        finally:
            old.stop()

    def restart(self, service: str, version: str) -> None:
        """Replace a service's process by one of the same program, unannounced: the on-call's cure."""
        self._services[service].stop()
        self._services[service] = self._start_service(service, version)
        self._wait_until_ready(service, version, self._services[service])

    def _announce(self, service: str, version: str, title: str) -> None:
        change = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "change": "deploy",
            "title": title,
            "service.name": service,
            "service.version": version,
            "deployment.environment.name": ENVIRONMENT,
        }
        producer = open_producer(self._bootstrap)
        producer.send(CHANGES, json.dumps(change).encode(), key=service.encode())
        producer.flush(timeout=10)
        producer.close()

    def stop(self) -> dict[str, int]:
        """Stop everything, callers first; return the customers' answers by status."""
        answers: dict[str, int] = {}
        if self._load is not None:
            self._load.stop()
            last = self._load.tail(1)
            answers = json.loads(last) if last.startswith("{") else {}
        for name in reversed(VERSIONS):
            if name in self._services:
                self._services[name].stop()
        for child in self._others:
            child.stop()
        self._redis.stop()
        self._postgres.stop()
        return answers
