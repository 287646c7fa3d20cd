"""Used by the CloudEvents decoder: which change an event's type tells of, and whose it is. Pure.

Types are compared by their words: `dev.cdevents.service.deployed.0.1.1`, `com.example.FeatureFlagUpdated.v1`.
"""

from __future__ import annotations

import re
from itertools import pairwise

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LONGEST = 256
_OTHERS = ("faultline.incident.", "dev.cdevents.change.", "dev.cdevents.incident.")
"""Types that tell of something else in words that a change's might have: ours, pull requests, incidents."""
_KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("rollback", frozenset({"rollback", "rolledback", "reverted", "revert"})),
    ("flag", frozenset({"flag", "flags", "featureflag", "toggle", "toggled", "experiment"})),
    ("scale", frozenset({"scale", "scaled", "scaling", "autoscaled", "autoscaling", "replicas"})),
    ("restart", frozenset({"restart", "restarted", "reboot", "rebooted"})),
    (
        "config",
        frozenset({
            "config", "configuration", "configmap", "secret", "setting", "settings", "environment",
            "parameter", "migration", "schema",
        }),
    ),
    (
        "deploy",
        frozenset({
            "deploy", "deployed", "deployment", "release", "released", "rollout", "upgraded", "upgrade",
            "published", "installed", "promoted", "removed", "uninstalled",
        }),
    ),
    ("change", frozenset({"change", "changed", "updated", "modified"})),
)  # fmt: skip
"""In the order in which a type's words decide: a flag that was deployed is a flag."""
_PLANS = frozenset({
    "queued", "triggered", "requested", "pending", "scheduled", "planned", "approved", "evaluated",
    "proposed",
})  # fmt: skip
_PACKAGES = frozenset({
    "artifact", "build", "test", "testcaserun", "testsuiterun", "pipelinerun", "taskrun", "ticket", "branch",
    "repository", "issue",
})  # fmt: skip
"""What CDEvents and their like tell of before anything runs anywhere."""
_PLACES = frozenset({
    "service", "services", "app", "apps", "application", "applications", "deployment", "deployments",
    "workload", "workloads", "component", "components", "statefulset", "statefulsets", "daemonset",
    "daemonsets",
})  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def words(text: str) -> list[str]:
    """Return the words of a type or kind in lower case; digits and versions (`v1`) are none."""
    found = [word.lower() for word in _WORD.findall(text[:_LONGEST])]
    return [word for word in found if word != "v"]


def change_kind(event_type: str, stated: str | None) -> str | None:
    """Return what kind of change it is, None for an event that tells of none.

    What the data states itself is believed, in our words where we know it.
    """
    if event_type.startswith(_OTHERS):
        return None
    if stated:
        return _kind_of(words(stated)) or stated
    known = words(event_type)
    if not _PLANS.isdisjoint(known) or not _PACKAGES.isdisjoint(known):
        return None
    return _kind_of(known)


def service_in(subject: str, source: str, *, bare: bool) -> str | None:
    """Return the service that a subject or source names by a path, else the subject if `bare`."""
    for text in (subject, source):
        parts = [part for part in re.split(r"[/:]", text[:_LONGEST]) if part]
        for place, name in pairwise(parts):
            if place.lower() in _PLACES and _NAME.fullmatch(name):
                return name
    last = subject[:_LONGEST].rstrip("/").rpartition("/")[2].partition("@")[0]
    return last if bare and _NAME.fullmatch(last) else None


def _kind_of(found: list[str]) -> str | None:
    together = {first + second for first, second in pairwise(found)}
    known = together.union(found)
    return next((kind for kind, marks in _KINDS if not marks.isdisjoint(known)), None)
