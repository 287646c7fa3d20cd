"""Metrics: every family has a name, a meaning and the labels it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.serve.metrics import CATALOGUE, Readings, families
from tests.support import served


def _all() -> Readings:
    return {family.name: {tuple(f"{label}-value" for label in family.labels): 3.0} for family in CATALOGUE}


def test_catalogue_is_well_formed() -> None:
    """Names are ours and unique; help is a sentence; counters do not repeat what the exposition appends."""
    names = [family.name for family in CATALOGUE]
    assert len(set(names)) == len(names)
    for family in CATALOGUE:
        assert family.name.startswith("faultline_")
        assert not family.name.endswith("_total")
        assert family.help.endswith(".")


def test_exposition_can_be_parsed(tmp_path: Path) -> None:
    """What /metrics answers is Prometheus text with every family that was handed in."""
    store = served.open_store(tmp_path)
    client = served.client(store, metrics=lambda: families({**_all(), **_hostile()}))
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    parsed = {family.name: family for family in text_string_to_metric_families(answer.text)}
    for family in CATALOGUE:
        if family.name.startswith("faultline_http"):
            continue
        found = parsed[family.name]
        assert found.type == ("counter" if family.counter else "gauge")
        assert found.documentation == family.help
        assert set(found.samples[0].labels) == set(family.labels)
    (rejected,) = parsed["faultline_rejected"].samples
    assert rejected.labels["reason"] == 'a"b\\c\nd'
    assert "process_resident_memory_bytes" in parsed
    store.close()


def _hostile() -> Readings:
    return {
        "faultline_rejected": {('a"b\\c\nd',): 1.0},
        "faultline_http_requests": {},
        "faultline_http_failures": {},
    }


def test_families_without_words_are_refused() -> None:
    """A reading that nobody described is our own mistake and says so."""
    with pytest.raises(ValueError, match="faultline_surprise"):
        list(families({"faultline_surprise": {(): 1.0}}))


def test_missing_readings_are_left_out() -> None:
    """A part that has nothing to tell has no family at all, rather than a false zero."""
    assert [metric.name for metric in families({"faultline_store_up": {(): 0.0}})] == ["faultline_store_up"]


def test_openmetrics_on_request(tmp_path: Path) -> None:
    """A scraper that asks for OpenMetrics gets it."""
    store = served.open_store(tmp_path)
    answer = served.client(store).get(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
    store.close()
