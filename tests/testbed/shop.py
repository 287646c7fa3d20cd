"""The shop as a whole: what runs, in which order, and what an operator can do to it.

Everything is private to one run: a scratch folder, free ports, processes that end with this one. `require`
is to be called every second or so: with it the shop looks after its services.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.ports import free_port
from tests.testbed.databases import Postgres, Redis
from tests.testbed.processes import Child, start_python
from tests.testbed.services.telemetry import CHANGES, ENVIRONMENT, WITHOUT, left_out, open_producer
from tests.testbed.supervisor import Services
from tests.testbed.volume import volume_prefix, why_no_volume

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
WITH_VOLUME = "checkout"
"""The service that has a disk of its own."""
PATIENCE_S = 20.0
"""A machine that is busy with other shops takes its time."""


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
        self._services = Services(self._launch, self._pod_answering)
        self._flags: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._configuration: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._others: list[Child] = []
        self._jobs: list[Child] = []
        self._volume = scratch / "volume"
        self.why_no_volume: str | None = "the shop has not been started"
        """Why the checkout service has no disk of its own that could fill up, None when it has."""
        self._load: Child | None = None

    def start(self) -> None:
        """Start everything but the customers. Raises ProcessError with the failed one's console."""
        self._volume.mkdir()
        self.why_no_volume = why_no_volume(self._volume)
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
        self._services.start(VERSIONS)

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

    def _launch(self, name: str, *, version: str, pod: str, restarts: int) -> Child:
        urls = {
            "postgres": self._postgres.url(),
            "redis": self._redis.url,
            "acquirer": f"127.0.0.1:{self._ports['acquirer']}",
            **{other: self.url(other) for other in VERSIONS},
        }
        environment = {
            "SHOP_PORT": str(self._ports[name]),
            "SHOP_KAFKA": self._bootstrap,
            "SHOP_POD": pod,
            "SHOP_RESTARTS": str(restarts),
            "SHOP_VERSION": version,
            "SHOP_TRACES": str(self._traces),
            "SHOP_FLAGS": json.dumps(self._flags[name]),
            "SHOP_CONFIGURATION": json.dumps(self._configuration[name]),
            "SHOP_VOLUME": str(self._volume) if name == WITH_VOLUME else "",
            **{f"SHOP_URL_{other.upper()}": urls[other] for other in NEIGHBOURS[name]},
        }
        mounted = name == WITH_VOLUME and self.why_no_volume is None
        return start_python(
            name,
            "tests.testbed.services",
            name,
            console=self._scratch / f"{name}.console",
            environment=environment,
            niceness=self._niceness,
            through=volume_prefix(self._volume) if mounted else (),
        )

    def _pod_answering(self, name: str) -> str | None:
        try:
            with urllib.request.urlopen(f"{self.url(name)}/_health", timeout=2) as answer:
                return str(json.load(answer)["pod"])
        except OSError:
            return None

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self._ports[service]}"

    def pid(self, service: str) -> int:
        """Return the process id of a service as it runs now."""
        return self._services[service].child.pid

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
        """Look after the services; raise ProcessError when something has ended that nobody restarts."""
        for child in [*self._others, *self._jobs, *([self._load] if self._load else [])]:
            child.require()
        self._services.make_round()

    def post(self, service: str, path: str, body: dict[str, Any]) -> None:
        """Use one of a process's testbed endpoints."""
        request = urllib.request.Request(
            f"{self.url(service)}{path}",
            json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            answer.read()

    def set_flags(self, service: str, **flags: Any) -> None:
        """Set feature flags: unannounced, and still set when the supervisor restarts the service."""
        self._flags[service].update(flags)
        self.post(service, "/_flags", flags)

    def configure(self, service: str, title: str, **values: Any) -> None:
        """Change a service's configuration while it runs, and announce it."""
        self._configuration[service].update(values)
        self._announce("config", service, self._services[service].version, title)
        self.post(service, "/_configuration", values)

    def deploy(self, service: str, version: str, title: str) -> None:
        """Replace a service's process by one of another version without a gap, and announce it."""
        self._announce("deploy", service, version, title)
        self._services.replace(service, version)

    def replace_pod(self, service: str) -> None:
        """Move a service to another pod of the same version without a gap, unannounced: a node is emptied."""
        self._services.replace(service, self._services[service].version)

    def restart(self, service: str, version: str, *, announced: bool = False) -> None:
        """Replace a service's process, flags off: the on-call's cure, or a node that is emptied."""
        self._flags[service].clear()
        if announced:
            self._announce("restart", service, version, f"{service}: restart")
        self._services.restart(service, version)

    def expire_cache(self, share: float = 0.7) -> int:
        """Forget a share of the products that catalog keeps in Redis; return how many went."""
        return self._redis.forget("product:*", share)

    def start_job(self, job: str) -> None:
        """Start a batch job beside the services; it runs until `end_jobs`."""
        urls = {"SHOP_URL_POSTGRES": self._postgres.url(), "SHOP_URL_REDIS": self._redis.url}
        console = self._scratch / f"{job}.console"
        self._jobs.append(
            start_python(
                job,
                "tests.testbed.jobs",
                job,
                console=console,
                environment=urls,
                niceness=self._niceness,
            )
        )

    def end_jobs(self) -> None:
        """End all batch jobs."""
        while self._jobs:
            self._jobs.pop().stop()

    def _announce(self, kind: str, service: str, version: str, title: str) -> None:
        if "changes" in left_out(os.environ.get(WITHOUT, "")):
            return
        change = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "change": kind,
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
        self._services.stop()
        self.end_jobs()
        for child in self._others:
            child.stop()
        self._redis.stop()
        self._postgres.stop()
        return answers
