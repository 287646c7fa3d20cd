"""The fuzzer itself, a slice of its cases on every run, and what it has found so far."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ingest.decode import Decode
from tests.fuzz import corpus, runner, targets
from tests.fuzz.__main__ import main
from tests.fuzz.case import Case, Finding, load, save
from tests.fuzz.case_maker import CaseMaker
from tests.fuzz.json_mutations import mutate_json
from tests.fuzz.protobuf_mutations import mutate_protobuf, parse, varint, write
from tests.fuzz.worker import makers, try_case

SLICE = 150
FOUND: tuple[tuple[str, bytes], ...] = (
    ("json", b'{"message": "x", "level": "' + b"9" * 5000 + b'"}'),
    ("json", '{"message": "x", "level": "²"}'.encode()),
    ("json", b'{"traceid":"8","spanid":"e","name":"","start":0,"duration_s":1e308}'),
    ("alertmanager", b'{"version": "4", "alerts": [{"labels": {}, "status": [null]}]}'),
)
"""Cases that once let something else than `DecodeError` out of a decoder."""


@pytest.fixture(scope="module")
def samples() -> dict[str, tuple[Case, ...]]:
    """Make the corpus once."""
    return corpus.samples(7)


@pytest.mark.parametrize("name", targets.names())
def test_a_slice_of_the_fuzz_finds_nothing(name: str, samples: dict[str, tuple[Case, ...]]) -> None:
    """Only `DecodeError` leaves a decoder, and what it returns keeps its promises."""
    maker = CaseMaker(name, *corpus.of(name, samples), seed=7)
    run, counts = targets.target(name), Counter[str]()
    for index in range(SLICE):
        found = try_case(run, maker.make(index), counts)
        assert found is None, f"{found}: python -m tests.fuzz --seed 7 --decoder {name} --records {index + 1}"
    assert counts["taken"], "no case was taken: the corpus does not fit this target"


@pytest.mark.parametrize("form", Decode({}).formats)
def test_every_decoder_takes_its_own_samples(form: str, samples: dict[str, tuple[Case, ...]]) -> None:
    """The corpus holds what the decoder is for: over a third of its unmutated samples give events."""
    counts: Counter[str] = Counter()
    own, _ = corpus.of(f"decode:{form}", samples)
    run = targets.target(f"decode:{form}")
    for case in own:
        assert try_case(run, case, counts) is None
    assert counts["taken"] > len(own) / 3, counts


@pytest.mark.parametrize(("form", "value"), FOUND)
def test_what_was_found_stays_fixed(form: str, value: bytes) -> None:
    """Each case that once broke a promise keeps it now."""
    assert try_case(targets.target(f"decode:{form}"), Case(value=value), Counter()) is None


def test_the_same_seed_makes_the_same_cases(samples: dict[str, tuple[Case, ...]]) -> None:
    """A finding is made again by its seed and number; another seed makes other cases."""
    first, again, other = (
        CaseMaker("decode:json", *corpus.of("decode:json", samples), seed=seed) for seed in (1, 1, 2)
    )
    assert [first.make(n) for n in range(50)] == [again.make(n) for n in range(50)]
    assert [first.make(n) for n in range(50)] != [other.make(n) for n in range(50)]


def test_protobuf_is_read_and_written_back(samples: dict[str, tuple[Case, ...]]) -> None:
    """What is parsed as fields is written byte for byte again, lengths included."""
    for case in samples["otlp_logs"]:
        fields = parse(case.value)
        assert fields is not None
        assert write(fields) == case.value
    assert varint(300) == b"\xac\x02"


def test_structured_mutations_keep_the_syntax(samples: dict[str, tuple[Case, ...]]) -> None:
    """Mutated JSON is mostly taken by the JSON decoder: else only its parser would be fuzzed."""
    counts: Counter[str] = Counter()
    run, rng = targets.target("decode:json"), Random(3)
    values = [case.value for case in samples["json"]]
    for value in values:
        made = mutate_json(value, rng, values)
        if made is not None:
            try_case(run, Case(value=made), counts)
    assert counts["taken"] > len(values) / 2
    assert mutate_protobuf(b"\xff\xff", rng, values) is None


def _run(monkeypatch: pytest.MonkeyPatch, run: Any, records: int = 600) -> runner.Result:
    monkeypatch.setattr("tests.fuzz.worker.target", lambda _name: run)
    made = makers(["mask"], corpus.samples(1), 1)
    return runner.run(["mask"], made, records=records, seconds=60, processes=2, progress=lambda _r, _s: None)


def _case(index: int) -> Case:
    return makers(["mask"], corpus.samples(1), 1)["mask"].make(index)


def test_a_process_that_dies_tells_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash of the interpreter is a finding with the number of its case, and the rest still runs."""
    deadly = {_case(16), _case(40), _case(520)}

    def crash(case: Case, counts: Counter[str]) -> None:
        if case in deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    result = _run(monkeypatch, crash)
    assert sorted((f.kind, f.index) for f in result.findings) == [
        ("crash", 16),
        ("crash", 40),
        ("crash", 520),
    ]
    assert result.findings[0].signature == "crash SIGKILL"
    assert result.records == 600


def test_a_case_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hang is noticed by the processor's time, killed, and the rest still runs."""
    monkeypatch.setattr("tests.fuzz.runner.HANG_CPU_S", 0.3)
    endless = _case(4)

    def hang(case: Case, counts: Counter[str]) -> None:
        while case == endless:
            pass

    result = _run(monkeypatch, hang, records=400)
    assert [(f.kind, f.index) for f in result.findings] == [("hang", 4)]
    assert result.records == 400


def test_slow_hungry_and_wrong_cases_are_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time beyond the bound, memory without one, and any other exception are told apart."""
    monkeypatch.setattr("tests.fuzz.worker.BASE_S", 0.01)
    monkeypatch.setattr("tests.fuzz.worker.ROOM", 512 * 1024 * 1024)
    cases = iter(range(10_000))

    def bad(case: Case, counts: Counter[str]) -> None:
        number = next(cases)
        if number == 3:
            raise KeyError("x")
        if number == 4:
            bytearray(1 << 40)
        if 5 <= number <= 7:  # a slow case is tried again twice
            end = time.thread_time() + 0.02 + 4e-6 * case.size
            while time.thread_time() < end:
                pass

    result = _run(monkeypatch, bad, records=20)
    assert sorted(finding.kind for finding in result.findings) == ["exception", "memory", "slow"]


def test_a_finding_is_kept_and_runs_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is saved is loaded the same, key and headers too, and `--replay` judges it anew."""
    case = Case(value=b'{"message": "x"}', key=b"\xff", headers=(("ce_id", b"\x00"),))
    finding = Finding(target="decode:json", kind="slow", signature="slow", detail="d", seed=1, index=2)
    path = save(tmp_path, finding, case)
    assert load(path) == ("decode:json", case)
    assert main(["--replay", str(path)]) == 0
    assert "nothing wrong" in capsys.readouterr().out


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table names the target and its records; an unknown target is wrong usage."""
    told = ["--records", "300", "--decoder", "text", "--processes", "1", "--out", str(tmp_path)]
    assert main(told) == 0
    out = capsys.readouterr().out
    assert "decode:text" in out
    assert "0 findings in 300 records" in out
    assert main(["--decoder", "no-such"]) == 2


def test_a_finding_is_minimised_and_saved(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command keeps the smallest case it finds that fails in the same way, and ends with 1."""

    def choke(case: Case, counts: Counter[str]) -> None:
        if b"e" in case.value:
            raise KeyError("e")

    for module in ("worker", "minimise"):
        monkeypatch.setattr(f"tests.fuzz.{module}.target", lambda _name: choke)
    assert main(["--records", "60", "--decoder", "text", "--processes", "1", "--out", str(tmp_path)]) == 1
    assert "KeyError" in capsys.readouterr().out
    assert b"e" in {path.read_bytes() for path in tmp_path.glob("*.bin")}


def test_no_worker_outlives_the_command(tmp_path: Path) -> None:
    """Ended by a signal, the command ends its workers too."""
    told = [sys.executable, "-m", "tests.fuzz", "--records", "10000000", "--processes", "2"]
    with subprocess.Popen(
        [*told, "--decoder", "text", "--out", str(tmp_path)], stdout=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        while b" of " not in run.stdout.readline():
            pass
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children")
        workers = children.read_text().split()
        assert len(workers) == 2
        run.terminate()
        assert run.wait(60) == 143
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
