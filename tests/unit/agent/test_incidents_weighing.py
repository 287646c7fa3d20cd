"""What anomalies weigh, alone and together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.incidents.weighing import ratio, standing, weight
from detectors.anomaly import Anomaly, Direction, EvidenceKind
from detectors.evidence import plain_evidence
from tests.support.correlation import Incidents, anomaly_at
from tests.support.windows import metrics


def _wait(subject: str, observed: float, unit: str = "s", *, score: float = 5.0) -> Anomaly:
    evidence = plain_evidence(
        metrics(0, []),
        EvidenceKind.METRIC,
        subject,
        "latency rose 1",
        label=subject,
        score=score,
        expected=0.0,
        observed=observed,
        unit=unit,
    )
    return replace(anomaly_at("orders", subject, 0, score=score), evidence=(evidence,))


@pytest.mark.parametrize(
    ("observed", "unit", "counts"),
    [
        (0.05, "s", 1.4),
        (0.1 + 1e-16, "s", 1.4),
        (50.0, "ms", 1.4),
        (110.0, "ms", 5.0),
        (0.05, "ms/s", 5.0),
        (0.05, "", 5.0),
    ],
)
def test_a_wait_that_nobody_notices_counts_little(observed: float, unit: str, counts: float) -> None:
    """Up to a tenth of a second, whatever unit it comes in; rates and shares are no waits."""
    one = _wait("p95", observed, unit)
    assert ratio(one) == 5.0
    assert standing(one) == counts


def test_it_must_be_all_of_it_and_a_rise() -> None:
    """One noticed wait among the evidence, a fall, or no evidence at all count as they are."""
    short, long = _wait("p95", 0.05), _wait("p99", 0.7)
    assert standing(replace(short, evidence=(*short.evidence, *long.evidence))) == 5.0
    assert standing(replace(short, direction=Direction.DOWN)) == 5.0
    assert standing(replace(short, evidence=())) == 5.0
    assert standing(replace(short, score=1.1)) == 1.1


def test_nobody_is_woken_for_it_alone_but_with_another_sign() -> None:
    """Far off its usual range it opens nothing; beside a neighbour's errors it does."""
    stream = Incidents()
    assert stream.changes(10, _wait("p95", 0.05)) == ()
    assert stream.changes(20, anomaly_at("payments", "errors", 10, score=1.5))


def test_two_detectors_that_speak_of_one_subject_are_one_witness() -> None:
    """The louder one counts; on another subject the second counts too."""
    first = anomaly_at("orders", "p95", 0, score=1.5)
    second = replace(anomaly_at("orders", "p95", 0, score=1.8), detector="another")
    elsewhere = replace(anomaly_at("orders", "cpu", 0, score=1.5), detector="another")
    assert weight((first, second), 0.25) == weight((second,), 0.25) == pytest.approx(1.3)
    assert weight((first, elsewhere), 0.25) == pytest.approx(2.0)


@pytest.mark.parametrize("names", [("d.mean", "d.p95"), ("d.p50{a=1}", "d.p99{a=1}"), ("w-avg", "w-90")])
def test_measures_of_one_distribution_are_one_witness(names: tuple[str, str]) -> None:
    """One slow request moves mean and percentiles, whoever looks at them; other labels are other requests."""
    first = anomaly_at("orders", names[0], 0, score=1.5)
    second = replace(anomaly_at("orders", names[1], 0, score=1.8), detector="another")
    assert weight((first, second), 0.25) == weight((second,), 0.25)
    assert weight((first, replace(second, subject="d.p99{a=2}")), 0.25) > weight((second,), 0.25)


def test_one_source_told_again_hardly_counts() -> None:
    """Further subjects of one detector at one service add a quarter each."""
    many = [anomaly_at("orders", name, 0, score=1.5) for name in ("latency", "connections", "threads")]
    assert weight(many, 0.25) == pytest.approx(1.5)
