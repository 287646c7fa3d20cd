"""The supervisor against a toy child that dies, hangs and dawdles on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.protocol import Message
from models.quiet import QuietPeriod, QuietPolicy
from models.supervisor import ChatRequest, ChildOptions, Supervisor
from models.unavailable import ModelUnavailable, UnavailableReason

_ROOT = Path(__file__).resolve().parents[3]
_TOY = (sys.executable, "-P", str(_ROOT / "tests" / "support" / "toy_child.py"))

Make = Callable[..., Supervisor]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Return a factory of supervisors over the toy child; all are closed at the end."""
    made: list[Supervisor] = []

    def build(content: str = "fine", sha256: str | None = None, **options: object) -> Supervisor:
        path = tmp_path / f"toy{len(made)}.gguf"
        path.write_text(content)
        chosen = ChildOptions(**{"grace_seconds": 0.5, **options})  # type: ignore[arg-type]
        supervisor = Supervisor(path, expected_sha256=sha256, options=chosen, command=_TOY)
        made.append(supervisor)
        return supervisor

    yield build
    for supervisor in made:
        supervisor.close()


def ask(text: str, seconds: float = 20.0, schema: str | None = None) -> ChatRequest:
    """Return a request of one message."""
    return ChatRequest(messages=(Message(role="user", content=text),), seconds=seconds, schema=schema)


def gone(pid: int) -> bool:
    """Whether no process of that id runs, waiting a little for it to end."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def failure(supervisor: Supervisor, request: ChatRequest, cancel: threading.Event | None = None) -> str:
    """Return the reason for which a request fails."""
    with pytest.raises(ModelUnavailable) as caught:
        supervisor.chat(request, cancel)
    return caught.value.reason


def test_answers_and_starts_lazily(make: Make) -> None:
    """No process runs before the first request; the answer comes back and the sum is known."""
    supervisor = make()
    assert supervisor.pid is None
    assert supervisor.chat(ask("say hello there")).text == "hello there"
    assert supervisor.count_tokens(["a b c", ""]) == (3, 0)
    assert supervisor.sha256 is not None
    assert len(supervisor.sha256) == 64


def test_start_reports_how_it_loaded(make: Make) -> None:
    """`start` loads ahead and says whether a GPU is used."""
    loaded = make().start()
    assert (loaded.gpu, loaded.context_tokens) == (False, 100)


def test_output_of_libraries_stays_out_of_the_protocol(make: Make) -> None:
    """A library that prints to standard output does not break the frames."""
    supervisor = make()
    assert supervisor.chat(ask("noise one")).text == "one"
    assert supervisor.chat(ask("say two")).text == "two"


def test_one_crash_costs_one_restart(make: Make, tmp_path: Path) -> None:
    """A child that dies once is replaced and the request is answered all the same."""
    supervisor = make()
    supervisor.start()
    before = supervisor.pid
    assert supervisor.chat(ask(f"die once {tmp_path / 'marker'}")).finish_reason == "stop"
    assert supervisor.pid != before


def test_second_crash_is_reported_with_exit_status(make: Make) -> None:
    """A child that dies again gives `crashed` and the way it ended; the next request works."""
    supervisor = make()
    with pytest.raises(ModelUnavailable, match="exit status 7") as caught:
        supervisor.chat(ask("die"))
    assert caught.value.reason is UnavailableReason.CRASHED
    assert supervisor.chat(ask("say again")).text == "again"


def test_quiet_after_repeated_crashes(make: Make) -> None:
    """After the set number of crashes requests fail at once, without a new process."""
    supervisor = make(quiet=QuietPolicy(crashes=2, seconds=60.0))
    assert failure(supervisor, ask("die")) == UnavailableReason.CRASHED
    with pytest.raises(ModelUnavailable, match="left alone"):
        supervisor.chat(ask("say hello"))
    assert supervisor.pid is None


def test_quiet_doubles_up_to_a_limit_and_success_ends_the_count() -> None:
    """Quiet periods run 5, 10, 20 … up to the limit; a success starts over."""
    quiet = QuietPeriod(QuietPolicy(crashes=1, seconds=5.0, seconds_max=15.0))
    waits = []
    for _ in range(4):
        quiet.note_crash(100.0)
        waits.append(quiet.left(100.0))
    assert waits == [5.0, 10.0, 15.0, 15.0]
    assert quiet.left(200.0) == 0.0
    quiet.note_success()
    quiet.note_crash(300.0)
    assert quiet.left(300.0) == 5.0


def test_hang_ends_the_child_at_the_deadline(make: Make) -> None:
    """A child that does not answer is gone after `timed_out`; the next request has a new one."""
    supervisor = make()
    supervisor.start()
    pid = supervisor.pid
    assert pid is not None
    assert failure(supervisor, ask("hang", seconds=0.2)) == UnavailableReason.TIMED_OUT
    assert gone(pid)
    assert supervisor.chat(ask("say on")).text == "on"


def test_stopped_child_is_killed(make: Make) -> None:
    """A child under SIGSTOP cannot hold a request beyond its deadline."""
    supervisor = make()
    supervisor.start()
    pid = supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert failure(supervisor, ask("say x" * 40_000, seconds=0.2)) == UnavailableReason.TIMED_OUT
    assert gone(pid)


def test_deadline_heeded_by_the_child_keeps_it(make: Make) -> None:
    """A child that stops by itself at the deadline keeps its loaded model."""
    supervisor = make(grace_seconds=20.0)
    supervisor.start()
    pid = supervisor.pid
    assert failure(supervisor, ask("slow", seconds=0.2)) == UnavailableReason.TIMED_OUT
    assert supervisor.pid == pid


def test_cancel_reaches_a_running_request(make: Make) -> None:
    """A set event stops the request as `cancelled` and keeps the child."""
    supervisor = make(grace_seconds=20.0)
    supervisor.start()
    pid, cancel = supervisor.pid, threading.Event()
    timer = threading.Timer(0.2, cancel.set)
    timer.start()
    assert failure(supervisor, ask("slow"), cancel) == UnavailableReason.CANCELLED
    assert supervisor.pid == pid
    timer.join()


def test_cancel_of_a_hang_ends_the_child(make: Make) -> None:
    """A child that hears no cancel is ended after the grace time, and that is `cancelled` as well."""
    supervisor = make()
    supervisor.start()
    pid, cancel = supervisor.pid, threading.Event()
    cancel.set()
    assert pid is not None
    assert failure(supervisor, ask("hang"), cancel) == UnavailableReason.CANCELLED
    assert gone(pid)


def test_close_cancels_the_request_under_way(make: Make) -> None:
    """Closing from another thread ends a running request as `cancelled`, and later ones too."""
    supervisor = make()
    supervisor.start()
    timer = threading.Timer(0.2, supervisor.close)
    timer.start()
    assert failure(supervisor, ask("hang")) == UnavailableReason.CANCELLED
    timer.join()
    assert failure(supervisor, ask("say x")) == UnavailableReason.CANCELLED


def test_threads_take_turns(make: Make) -> None:
    """Many threads share one child and each gets its own answer."""
    supervisor = make()
    answers: dict[int, str] = {}

    def work(number: int) -> None:
        answers[number] = supervisor.chat(ask(f"say {number}")).text

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: str(number) for number in range(8)}


def test_waiting_for_a_turn_counts(make: Make) -> None:
    """A request whose turn does not come within its deadline fails as `timed_out`."""
    supervisor = make(grace_seconds=20.0)
    supervisor.start()
    cancel = threading.Event()
    reasons: list[str] = []
    slow = threading.Thread(target=lambda: reasons.append(failure(supervisor, ask("slow"), cancel)))
    slow.start()
    time.sleep(0.1)
    assert failure(supervisor, ask("say x", seconds=0.1)) == UnavailableReason.TIMED_OUT
    cancel.set()
    slow.join()
    assert reasons == [UnavailableReason.CANCELLED]


def test_child_outlives_the_thread_that_started_it(make: Make) -> None:
    """A worker thread that ends after its request does not take the child with it."""
    supervisor = make()
    worker = threading.Thread(target=supervisor.start)
    worker.start()
    worker.join()
    pid = supervisor.pid
    assert supervisor.chat(ask("say still here")).text == "still here"
    assert supervisor.pid == pid


def test_child_ends_with_a_killed_parent(tmp_path: Path) -> None:
    """SIGKILL of the parent leaves no child behind."""
    weights = tmp_path / "toy.gguf"
    weights.write_text("fine")
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom models.supervisor import Supervisor\n"
        f"s = Supervisor(Path({str(weights)!r}), command={_TOY!r})\ns.start()\nprint(s.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pid)


def test_missing_file(make: Make) -> None:
    """No file gives `file_missing` and says what to run."""
    supervisor = make()
    supervisor.path.unlink()
    with pytest.raises(ModelUnavailable, match="faultline models pull") as caught:
        supervisor.chat(ask("say x"))
    assert caught.value.reason is UnavailableReason.FILE_MISSING


def test_wrong_sum_is_seen_before_loading(make: Make) -> None:
    """A file with another sum than the pinned one is never loaded."""
    supervisor = make(sha256="0" * 64)
    assert failure(supervisor, ask("say x")) == UnavailableReason.FILE_CORRUPT
    assert supervisor.pid is None


def test_file_that_does_not_open(make: Make) -> None:
    """A file that the runtime cannot open is `file_corrupt`; one that kills it is `crashed`."""
    assert failure(make("broken"), ask("say x")) == UnavailableReason.FILE_CORRUPT
    assert failure(make("dies"), ask("say x")) == UnavailableReason.CRASHED


def test_repaired_file_is_taken_up(make: Make) -> None:
    """A file that was replaced by a good one works at the next request."""
    supervisor = make("broken")
    assert failure(supervisor, ask("say x")) == UnavailableReason.FILE_CORRUPT
    supervisor.path.write_text("fine again")
    assert supervisor.chat(ask("say x")).text == "x"


def test_loading_goes_on_past_a_short_deadline(make: Make) -> None:
    """A deadline during loading fails that request only; the load is not started over."""
    supervisor = make("slow")
    assert failure(supervisor, ask("say x", seconds=0.3)) == UnavailableReason.TIMED_OUT
    pid = supervisor.pid
    assert supervisor.chat(ask("say x")).text == "x"
    assert supervisor.pid == pid


def test_load_past_its_own_limit_ends_the_child(make: Make) -> None:
    """A load that takes longer than allowed costs the child."""
    supervisor = make("slow", load_seconds=0.2)
    with pytest.raises(ModelUnavailable) as caught:
        supervisor.chat(ask("say x"))
    assert caught.value.reason is UnavailableReason.TIMED_OUT
    assert supervisor.pid is None


def test_a_callers_mistake_is_a_value_error(make: Make) -> None:
    """A schema that cannot be enforced is the caller's fault and no crash."""
    supervisor = make()
    with pytest.raises(ValueError, match="bad schema"):
        supervisor.chat(ask("say x", schema="bad"))
    assert supervisor.chat(ask("say x")).text == "x"
