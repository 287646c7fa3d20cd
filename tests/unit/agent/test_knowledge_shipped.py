"""The runbooks that come with Faultline."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.analysis import Mechanism, Risk
from agent.knowledge import shipped
from agent.knowledge.index import open_index
from agent.knowledge.lint import lint
from agent.knowledge.load import load_folder
from agent.knowledge.runbook import Library, SectionKind
from agent.knowledge.shipped import shipped_runbooks


@pytest.fixture(scope="module")
def library() -> Library:
    """Return the shipped runbooks."""
    return load_folder(shipped_runbooks())


def test_lint_is_clean_and_there_are_twelve_or_more(library: Library) -> None:
    """What we ship passes what we ask of others."""
    assert [str(problem) for problem in lint(library)] == []
    assert len(library.runbooks) >= 12


def test_every_mechanism_is_served(library: Library) -> None:
    """Whatever the ranker suspects, there is a runbook for it."""
    served = {mechanism for runbook in library.runbooks for mechanism in runbook.mechanisms}
    assert served == set(Mechanism) - {Mechanism.UNKNOWN}


def test_ids_are_file_names(library: Library) -> None:
    """A citation leads to its file without a search."""
    assert all(runbook.path == f"{runbook.id}.md" for runbook in library.runbooks)


def test_references_to_other_runbooks_resolve(library: Library) -> None:
    """`go to X` and `see X` name runbooks that exist."""
    known = {runbook.id for runbook in library.runbooks}
    for runbook in library.runbooks:
        for section in runbook.sections:
            named = re.findall(r"(?:go to|see|continue with|needs)\s+`([a-z-]+)`", section.text)
            assert set(named) <= known, runbook.path


def test_diagnosis_and_verify_only_look(library: Library) -> None:
    """Nothing under diagnosis or verify changes a system, by its statement or by its command."""
    for runbook in library.runbooks:
        for section in runbook.sections:
            if section.kind in {SectionKind.DIAGNOSIS, SectionKind.VERIFY}:
                assert {step.risk for step in section.steps} == {Risk.READ_ONLY}, runbook.path


def test_reversible_mitigations_have_an_undo(library: Library) -> None:
    """A runbook with a reversible step says how to take it back."""
    for runbook in library.runbooks:
        kinds = {section.kind: section for section in runbook.sections}
        mitigation = kinds[SectionKind.MITIGATION]
        if any(step.risk is Risk.REVERSIBLE and step.command for step in mitigation.steps):
            assert any(step.command for step in kinds[SectionKind.UNDO].steps), runbook.path


@pytest.mark.parametrize(
    ("seen", "runbook"),
    [
        ("QueuePool limit of size 5 overflow 10 reached, connection timed out", "connection-pool-exhausted"),
        ("ERROR: deadlock detected DETAIL: Process 71 waits for ShareLock", "postgresql-lock-contention"),
        ("FATAL: sorry, too many clients already", "postgresql-connections-slow-queries"),
        ("OOM command not allowed when used memory > 'maxmemory'", "redis-memory-evictions"),
        ("consumer group orders lag 120000 and growing", "kafka-consumer-lag"),
        ("container_cpu_cfs_throttled_periods_total high, CPU throttling", "cpu-saturation"),
        ("java.lang.OutOfMemoryError: Java heap space", "memory-leak-oomkilled"),
        ("write failed: No space left on device", "disk-filling"),
        ("Back-off restarting failed container", "crash-loop"),
        ("dial tcp: lookup db: no such host, packet loss", "network-errors"),
        ("no logs received from payment, target is down", "service-silent"),
        ("429 Too Many Requests, circuit breaker is open", "traffic-surge-retry-storm"),
        ("NullPointerException in getPrice", "wrong-answers"),
        ("upstream request timeout, p99 latency of payment", "dependency-latency"),
        ("500 errors since deploy of version 2, new stack trace after rollout", "errors-after-deploy"),
    ],
)
def test_what_is_seen_finds_its_runbook_by_words_alone(library: Library, seen: str, runbook: str) -> None:
    """Without a model, an ordinary message leads to the right runbook."""
    index = open_index(":memory:", None)
    index.sync(library.runbooks)
    assert index.search(seen, limit=1)[0].runbook == runbook
    index.close()


def test_installed_wheel_wins_over_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a wheel they lie in the package; nowhere is an error that says what to do."""
    package = tmp_path / "agent"
    (package / "_runbooks").mkdir(parents=True)
    (tmp_path / "runbooks").mkdir()
    monkeypatch.setattr(shipped, "_PACKAGE", package)
    with pytest.raises(FileNotFoundError, match="install faultline again"):
        shipped_runbooks()
    (tmp_path / "runbooks" / "a.md").write_text("x")
    assert shipped_runbooks() == tmp_path / "runbooks"
    (package / "_runbooks" / "a.md").write_text("x")
    assert shipped_runbooks() == package / "_runbooks"
