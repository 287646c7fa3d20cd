"""The service's HTTP side, composed: what the API may ask of a running service, as plain callables."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from prometheus_client import Metric

from agent.app.parts import configured_mutes
from agent.app.service import Service
from agent.serve.api import create_app
from agent.serve.deps import Deps
from agent.serve.metrics import Readings, families
from agent.serve.server import RunningServer, run_server
from agent.store.port import StoreError
from detectors.manifest import ModelVersion, Status


def http_server(service: Service) -> RunningServer:
    """Serve API and pages of `service` where its settings say. Raises `ServeError`."""
    http = service.settings.http
    return run_server(create_app(deps_of(service)), http.host, http.port)


def deps_of(service: Service) -> Deps:
    """Return what the application needs of a service."""
    settings = service.settings

    def metrics() -> Iterable[Metric]:
        return families(readings(service))

    return Deps(
        store=service.store,
        submit=service.stream.submit,
        ready=lambda: readiness(service),
        metrics=metrics,
        api_key=settings.http.api_key.get_secret_value() or None,
        public_url=settings.deliver.public_url or None,
        now=time.time_ns,
        mutes=service.store,
        configured=configured_mutes(settings),
    )


def readiness(service: Service) -> dict[str, str | None]:
    """Return each part and what is wrong with it."""
    checks: dict[str, str | None] = {"store": _store_problem(service)}
    if not service.stream.ready.is_set():
        checks["stream"] = "not reading yet: its state is being restored"
        if service.stream.failure is not None:
            # The failure's text may hold what was read: the log has it, this page is read from afar.
            kind = service.stream.failure.partition(":")[0]
            checks["stream"] = f"stopped ({kind}), it starts again by itself; the log says why"
    for loop, alive in service.alive().items():
        fine = alive or (loop == "sender" and not _delivers(service))
        checks.setdefault(loop, None if fine else "its thread has ended; restart the process")
    return checks


def _delivers(service: Service) -> bool:
    """Say whether there is any channel: without one the sender has nothing to run for."""
    settings = service.settings
    return bool(settings.kafka.bootstrap_servers or settings.deliver.webhooks or settings.deliver.slack)


def readings(service: Service) -> Readings:
    """Return all numbers of a service. Reads counters of other threads; each is right for some moment."""
    stream, pipeline = service.stream, service.stream.pipeline
    counts, work = pipeline.counts, service.worker.counts
    source = asdict(service.source.counters)
    figures: dict[str, Mapping[tuple[str, ...], float]] = {
        "faultline_records": {(): counts.records},
        "faultline_events": _by_name(counts.events),
        "faultline_rejected": _by_name(counts.rejected),
        "faultline_cuts": _by_name(counts.cuts),
        "faultline_windows_closed": {(): counts.windows},
        "faultline_window_events": _by_name(pipeline.windows.counts),
        "faultline_anomalies": _by_name(counts.anomalies),
        "faultline_shadowed": _by_name(counts.shadowed),
        "faultline_muted": _by_name(counts.muted),
        "faultline_mutes_active": _by_name(pipeline.mutes_active(time.time_ns())),
        "faultline_incident_changes": _by_name(counts.changes),
        "faultline_checkpoints": {(): stream.counts.checkpoints},
        "faultline_stream_failures": {(): stream.counts.failures},
        "faultline_stream_fenced": {(): stream.counts.fenced},
        "faultline_stream_states_lost": {(): stream.counts.states_lost},
        "faultline_stream_ready": {(): float(stream.ready.is_set())},
        "faultline_loop_alive": {(loop,): float(alive) for loop, alive in service.alive().items()},
        "faultline_source_bytes": {(): source.pop("bytes")},
        "faultline_source_operations": _by_name(source),
        "faultline_source_lag_records": {
            (topic, str(partition)): lag for (topic, partition), lag in dict(service.source.lag()).items()
        },
        "faultline_investigations": {
            ("done",): work.investigations,
            ("resumed",): work.resumed,
            ("failed",): work.failures,
            ("given_up",): work.given_up,
        },
        "faultline_deliveries": {
            labels: float(number) for labels, number in dict(service.sender.counts).items()
        },
        "faultline_degraded": {(part.partition(":")[0],): 1.0 for part in service.degraded},
    }
    if counts.learning is not None:
        now = counts.learning
        figures["faultline_learning"] = {("services",): now.services, ("series",): now.series}
        figures["faultline_known"] = {("services",): now.services_known, ("series",): now.series_known}
    return figures | _models(counts.models) | _stored(service)


def _models(live: tuple[ModelVersion, ...]) -> dict[str, Mapping[tuple[str, ...], float]]:
    active = [one for one in live if one.status is Status.ACTIVE]
    return {
        "faultline_detector_version": {(one.detector, one.status.value): float(one.number) for one in live},
        "faultline_detector_flagged": {(one.detector, one.status.value): one.flagged for one in live},
        "faultline_detector_drift": {(one.detector,): one.drift for one in active},
    }


def _stored(service: Service) -> dict[str, Mapping[tuple[str, ...], float]]:
    """Return the database's own numbers; when it does not answer, only that."""
    up: Mapping[tuple[str, ...], float] = {(): 1.0}
    try:
        stats = service.store.stats()
    except StoreError:
        return {"faultline_store_up": {(): 0.0}}
    return {"faultline_store_up": up} | {
        f"faultline_{name}": {(): float(number)} for name, number in stats.items()
    }


def _store_problem(service: Service) -> str | None:
    try:
        service.store.stats()
    except StoreError:
        return "the database does not answer as it should; the log says why"
    return None


def _by_name(counts: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    # A copy at once: the stream's thread may add a name meanwhile.
    return {(name,): float(number) for name, number in dict(counts).items()}
