"""What mutations start from: golden fixtures where there are some, and samples made by grammar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random

from tests.fuzz import grammar_json, grammar_otlp, grammar_text
from tests.fuzz.case import Case
from tests.shippers.fixture import all_fixtures

_LARGEST_FIXTURE = 256 * 1024
_OF_EACH = 60
"""Grammar samples a format."""

GRAMMARS: Mapping[str, Callable[[Random], Case]] = {
    "otlp_logs": grammar_otlp.logs,
    "otlp_metrics": grammar_otlp.metrics,
    "otlp_traces": grammar_otlp.traces,
    "otlp_json": grammar_otlp.in_json,
    "json": grammar_json.flat,
    "docker": grammar_json.docker,
    "alertmanager": grammar_json.alertmanager,
    "ecs": grammar_json.ecs,
    "fluent_bit": grammar_json.fluent,
    "vector": grammar_json.fluent,
    "syslog_json": grammar_json.syslog_json,
    "cloudevents": grammar_json.cloudevents,
    "telegraf": grammar_json.telegraf,
    "prometheus_json": grammar_json.prometheus_json,
    "collectd": grammar_json.collectd,
    "text": grammar_text.text,
    "syslog": grammar_text.syslog,
    "hostile": grammar_text.hostile,
    "bodies": grammar_text.bodies,
}
_STAGES = {"redact": ("hostile", "text"), "mask": ("hostile", "text"), "templates": ("bodies",)}


def samples(seed: int) -> dict[str, tuple[Case, ...]]:
    """Return samples by format, the same for the same seed and the same fixtures."""
    made = {
        name: [grammar(Random(f"{seed}/{name}/{n}")) for n in range(_OF_EACH)]
        for name, grammar in GRAMMARS.items()
    }
    for name, case in _golden():
        made.setdefault(name, []).append(case)
    return {name: tuple(cases) for name, cases in made.items()}


def _golden() -> Iterator[tuple[str, Case]]:
    """Yield (format, record) of every kept record."""
    for fixture in all_fixtures():
        for sent in fixture.sent:
            if len(sent.value) > _LARGEST_FIXTURE:
                continue
            yield fixture.format, Case(value=sent.value, key=sent.key, headers=sent.headers)


def of(target: str, known: Mapping[str, tuple[Case, ...]]) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Return (samples of the target's own format, those of all others) for `decode:<format>` or a stage."""
    name = target.partition(":")[2] or target
    wanted = _STAGES.get(target, ())
    own = [case for form, cases in known.items() if form in wanted or _belongs(form, name) for case in cases]
    rest = [case for form, cases in known.items() if form not in {"hostile", "bodies"} for case in cases]
    return tuple(own or rest), tuple(rest)


def _belongs(form: str, decoder: str) -> bool:
    """`otlp` takes every OTLP in protobuf, `syslog` its variants, whichever of two names is the longer."""
    if "json" in f"{decoder} {form}" and decoder != form:
        return False
    return form == decoder or form.startswith(f"{decoder}_") or decoder.startswith(f"{form}_")
