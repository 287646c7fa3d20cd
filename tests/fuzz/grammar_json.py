"""Samples of the JSON formats that are not OTLP, as their documentation writes them."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.fuzz.case import Case
from tests.fuzz.grammar_words import HOSTS, LEVELS, SERVICES, epoch, hexed, iso, line


def _case(document: Any, rng: Random) -> Case:
    """One document, its array, or its lines."""
    text = json.dumps(document, ensure_ascii=rng.random() < 0.3)
    form = rng.randrange(8)
    if form == 0:
        text = f"[{text}, {text}]"
    elif form == 1:
        text = f"{text}\n{text}\n"
    return Case(value=text.encode("utf-8", "replace"))


def _kubernetes(rng: Random) -> dict[str, Any]:
    return {
        "namespace_name": "shop", "pod_name": rng.choice(HOSTS), "container_name": rng.choice(SERVICES),
        "labels": {"app.kubernetes.io/name": rng.choice(SERVICES), "app": "x"}, "host": "node-1",
    }  # fmt: skip


def flat(rng: Random) -> Case:
    """Make a flat log line, metric value, span or change."""
    time = rng.choice((iso, epoch))(rng)
    service = {rng.choice(("service.name", "service", "app")): rng.choice(SERVICES)}
    documents: tuple[dict[str, Any], ...] = (
        {"time": time, "level": rng.choice(LEVELS), "message": line(rng), **service, "thread": "main",
         "n": 1},
        {"ts": time, "msg": line(rng), "severity_number": rng.randrange(30), "trace_id": hexed(rng, 16),
         **service},
        {"@timestamp": time, "log": {"level": "warn"}, "body": {"a": 1},
         "attributes": {"exception.type": "E"}},
        {"timestamp": time, "name": "cpu", "value": rng.choice((1, "2.5", 1e300)), "type": "counter",
         **service},
        {"time": time, "metric": "m", "value": 0.5, "labels": {"code": "500"}, "kind": "delta", "unit": "s"},
        {"trace_id": hexed(rng, 16), "span_id": hexed(rng, 8), "name": "GET", "start": time,
         "duration_ms": 12.5},
        {"traceId": hexed(rng, 16), "spanId": hexed(rng, 8), "operation": "q", "start_time": time,
         "end": time,
         "status": "error", "kind": 3, "attributes": {"db.system": "redis", "server.address": "c.svc"}},
        {"time": time, "change": "deploy", "title": "cart 2.1", **service, "version": "2.1"},
    )  # fmt: skip
    return _case(rng.choice(documents), rng)


def docker(rng: Random) -> Case:
    """Make docker's json-file wrapper around text or JSON."""
    inner = line(rng) if rng.random() < 0.6 else flat(rng).value.decode("utf-8", "replace")
    return _case({"log": inner + "\n", "stream": "stderr", "time": iso(rng), "attrs": {"tag": "cart"}}, rng)


def alertmanager(rng: Random) -> Case:
    """Make Alertmanager's webhook, version 4."""
    labels = {"alertname": "HighErrorRate", "job": rng.choice(SERVICES), "severity": "critical"}
    alert = {
        "status": rng.choice(("firing", "resolved")), "labels": labels, "annotations": {"summary": line(rng)},
        "startsAt": iso(rng), "endsAt": rng.choice((iso(rng), "0001-01-01T00:00:00Z")),
        "fingerprint": hexed(rng, 8),
        "generatorURL": "http://prometheus/graph?g0.expr=x",
    }  # fmt: skip
    body = {"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing",
    "receiver": "faultline",
            "groupLabels": labels, "commonLabels": labels, "commonAnnotations": {},
            "externalURL": "http://am",
            "alerts": [alert] * rng.choice((0, 1, 3))}  # fmt: skip
    return Case(value=json.dumps(body).encode())


def ecs(rng: Random) -> Case:
    """Make an event as Filebeat writes it to Kafka."""
    document = {
        "@timestamp": iso(rng), "@metadata": {"beat": "filebeat", "type": "_doc", "version": "8.14.0"},
        "message": line(rng), "log": {"level": rng.choice(LEVELS), "offset": 12,
        "file": {"path": "/var/log/x.log"}},
        "ecs": {"version": "8.0.0"}, "host": {"name": rng.choice(HOSTS)}, "agent": {"type": "filebeat"},
        "service": {"name": rng.choice(SERVICES), "environment": "prod"}, "trace": {"id": hexed(rng, 16)},
        "kubernetes": {"pod": {"name": "p"}, "labels": {"app": "cart"}, "container": {"name": "c"}},
        "error": {"type": "IOError", "message": "x", "stack_trace": "IOError: x\n  at y"},
        "container": {"id": "abc"}, "event": {"severity": 3, "original": line(rng)},
        "process": {"thread": {"name": "t"}},
    }  # fmt: skip
    for name in rng.sample(sorted(document), rng.randrange(6)):
        del document[name]
    return _case(document, rng)


def fluent(rng: Random) -> Case:
    """Make a record as Fluent Bit's kafka output or Vector's sink writes it."""
    time = rng.choice((iso(rng), epoch(rng), [1_800_000_000, 5]))
    bit = {
        "@timestamp": time,
        "log": line(rng),
        "stream": "stdout",
        "time": iso(rng),
        "_p": "F",
        "kubernetes": _kubernetes(rng),
    }
    vector = {
        "timestamp": time, "message": line(rng), "source_type": "kubernetes_logs",
        "file": "/var/log/pods/x.log",
        "host": rng.choice(HOSTS), "kubernetes": {"pod_name": "p", "pod_labels": {"app": "cart"}},
        "stream": "stdout",
    }  # fmt: skip
    metric = {"name": "m", "tags": {"host": "h"}, "timestamp": time, "kind": "absolute",
              rng.choice(("gauge", "counter")): {"value": 1.5}, "namespace": "vector"}  # fmt: skip
    return _case(rng.choice((bit, vector, metric)), rng)


def syslog_json(rng: Random) -> Case:
    """Make a message as rsyslog's JSON templates and syslog-ng's format-json write it."""
    rsyslog = {
        "@timestamp": iso(rng), "message": line(rng), "host": rng.choice(HOSTS),
        "severity": rng.choice(("err", 3)),
        "facility": "daemon", "syslogtag": f"{rng.choice(SERVICES)}[99]:",
        "programname": rng.choice(SERVICES),
        "procid": "99", "structured-data": '[a b="c"]',
    }  # fmt: skip
    syslog_ng = {
        "PROGRAM": rng.choice(SERVICES), "PRIORITY": rng.choice(("err", "info")), "PID": "1",
        "MESSAGE": line(rng),
        "HOST": rng.choice(HOSTS), "FACILITY": "cron", "DATE": rng.choice(("Jun  1 12:00:00", iso(rng))),
    }  # fmt: skip
    return _case(rng.choice((rsyslog, syslog_ng)), rng)


def cloudevents(rng: Random) -> Case:
    """Make a change as a CloudEvent, structured or binary (attributes in headers)."""
    data = {
        "service": rng.choice(SERVICES),
        "version": "2.1",
        "title": "deploy",
        "environment": "prod",
        "diff": [1],
    }
    attributes = {
        "specversion": "1.0", "id": hexed(rng, 8), "source": rng.choice(("/ci/cart", "urn:x", "https://a/b")),
        "type": rng.choice(("com.example.deployment.finished", "dev.cdevents.service.deployed.0.1.0",
        "flag.changed")),
        "time": iso(rng), "subject": rng.choice(SERVICES), "datacontenttype": "application/json",
    }  # fmt: skip
    if rng.random() < 0.5:
        return _case({**attributes, "data": rng.choice((data, "text", None))}, rng)
    headers = tuple(
        (f"ce_{name}", text.encode()) for name, text in attributes.items() if name != "datacontenttype"
    )
    return Case(value=json.dumps(data).encode(), headers=(*headers, ("content-type", b"application/json")))


def telegraf(rng: Random) -> Case:
    """Make Telegraf's JSON: one metric, or a batch."""
    metric = {
        "name": rng.choice(("cpu", "disk", "docker_container_net")), "timestamp": rng.choice((1_800_000_000,
        epoch(rng))),
        "tags": {"host": rng.choice(HOSTS), "service": rng.choice(SERVICES), "cpu": "cpu0"},
        "fields": {"usage_idle": 97.5, "count": 12, "ok": True, "state": "running", "bytes": 2**53},
    }  # fmt: skip
    return _case({"metrics": [metric] * rng.choice((0, 1, 3))} if rng.random() < 0.4 else metric, rng)


def prometheus_json(rng: Random) -> Case:
    """Make a sample as prometheus-kafka-adapter writes it."""
    labels = {
        "__name__": "http_requests_total",
        "job": rng.choice(SERVICES),
        "instance": "10.0.0.1:9090",
        "code": "500",
    }
    value = rng.choice(("12", "NaN", "+Inf", "1e-3", "0"))
    return _case({"timestamp": iso(rng), "value": value, "name": labels["__name__"], "labels": labels}, rng)


def collectd(rng: Random) -> Case:
    """Make collectd's write_kafka JSON: a list of value lists."""
    values = {
        "values": [rng.choice((1, 2.5, None)), 7], "dstypes": [rng.choice(("derive", "gauge", "counter")),
        "absolute"],
        "dsnames": ["rx", "tx"], "time": 1_800_000_000.123, "interval": 10.0, "host": rng.choice(HOSTS),
        "plugin": "interface", "plugin_instance": "eth0", "type": "if_octets", "type_instance": "",
        "meta": {"a": True},
    }  # fmt: skip
    return Case(value=json.dumps([values] * rng.choice((1, 2))).encode())
