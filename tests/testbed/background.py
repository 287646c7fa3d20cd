"""What happens in a shop anyway: releases that are fine, pods that are replaced, a cache that is cleared.

None of it is a cause, so a change before an incident proves nothing. The schedule is pure and follows from
a seed; `Background` does what is due while a run watches its shop, and remembers it as marks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

DEPLOY, RESTART, EXPIRE = "deploy", "restart", "expire_cache"
INJECT, HEAL = "inject", "heal"
CACHE = "redis"
QUIET_EVERY_S = (480.0, 900.0)
"""Between two of them in a run without a fault."""
_FIRST_S = 60.0
_ASIDE_S = 30.0
"""Nothing happens by itself this close to a fault's onset and end: the onset stays the onset."""
_APART_S = 60.0
_SPARSE = {0: 0.3, 1: 0.4, 2: 0.3}
"""How many there are in a run with a fault, and how likely."""
_DURING_FAULT = 0.35
_TITLES = (
    "dependency updates",
    "clearer log messages",
    "smaller image",
    "translations",
    "remove unused code",
    "documentation of the API",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something harmless that is due `at_s` seconds after the start of the baseline."""

    at_s: float
    what: str
    service: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that was done to the shop, for those who look at the recording. It is not replayed."""

    time: datetime
    what: str
    service: str = ""
    title: str = ""
    harmless: bool = True


class Operable(Protocol):
    """What of a shop is needed here."""

    def deploy(self, service: str, version: str, title: str) -> None:
        """Roll a version out and announce it."""

    def replace_pod(self, service: str) -> None:
        """Move a service to another pod, without a gap."""

    def expire_cache(self) -> int:
        """Forget what is cached, and return how much."""


def regular(seed: int, length_s: float, services: Iterable[str]) -> tuple[Deed, ...]:
    """Return the schedule of a run without a fault: every kind in turn, some minutes apart."""
    chance = random.Random(seed)
    names, bag, deeds = sorted(services), list[str](), list[Deed]()
    at = chance.uniform(*QUIET_EVERY_S) / 2
    while at < length_s - _ASIDE_S:
        if not bag:
            bag = [DEPLOY, RESTART, EXPIRE, DEPLOY]
            chance.shuffle(bag)
        deeds.append(_deed(chance, at, bag.pop(), names))
        at += chance.uniform(*QUIET_EVERY_S)
    return tuple(deeds)


def sparse(
    seed: int, baseline_s: float, duration_s: float, services: Iterable[str], *, faulty: str
) -> tuple[Deed, ...]:
    """Return the schedule of a run with a fault: none to two, never on the service `faulty`."""
    chance = random.Random(seed)
    names = sorted(set(services) - {faulty})
    kinds = (DEPLOY, RESTART) if faulty == CACHE else (DEPLOY, DEPLOY, RESTART, EXPIRE)
    deeds: list[Deed] = []
    for _ in range(chance.choices([*_SPARSE], [*_SPARSE.values()])[0]):
        before, during = (
            (_FIRST_S, baseline_s - _ASIDE_S),
            (
                baseline_s + _ASIDE_S,
                baseline_s + duration_s - _ASIDE_S,
            ),
        )
        start, end = during if chance.random() < _DURING_FAULT else before
        at = chance.uniform(start, end)
        if start < end and all(abs(at - deed.at_s) >= _APART_S for deed in deeds):
            deeds.append(_deed(chance, at, chance.choice(kinds), names))
    return tuple(sorted(deeds, key=lambda deed: deed.at_s))


def _deed(chance: random.Random, at: float, what: str, services: list[str]) -> Deed:
    return Deed(at_s=at, what=what, service=CACHE if what == EXPIRE else chance.choice(services))


class Background:
    """Does what is due, and keeps the marks of it. A deed may block for as long as a process starts."""

    def __init__(
        self, deeds: Iterable[Deed], versions: dict[str, str], seed: int, say: Callable[[str], None]
    ) -> None:
        self._due = list(deeds)
        self._versions = dict(versions)
        self._chance = random.Random(seed)
        self._say = say
        self.marks: list[Mark] = []

    def happen(self, shop: Operable, passed_s: float) -> None:
        """Do what is due `passed_s` seconds after the start of the baseline."""
        due = [deed for deed in self._due if deed.at_s <= passed_s]
        self._due = [deed for deed in self._due if deed.at_s > passed_s]
        for deed in due:
            began = datetime.now(UTC)
            title = self._do(shop, deed)
            self._say(f"harmless: {title}")
            self.marks.append(Mark(time=began, what=deed.what, service=deed.service, title=title))

    def _do(self, shop: Operable, deed: Deed) -> str:
        if deed.what == EXPIRE:
            return f"cache expired early: {shop.expire_cache()} products forgotten"
        if deed.what == RESTART:
            shop.replace_pod(deed.service)
            return f"{deed.service} restarted in another pod"
        version = next_patch(self._versions[deed.service])
        title = f"{deed.service} {version}: {self._chance.choice(_TITLES)}"
        shop.deploy(deed.service, version, title)
        self._versions[deed.service] = version
        return title


def next_patch(version: str) -> str:
    """Return the version with its last number one higher."""
    *front, last = version.split(".")
    return ".".join([*front, str(int(last) + 1)])
