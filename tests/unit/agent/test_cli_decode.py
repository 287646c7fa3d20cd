"""`faultline decode` as people run it: what it prints, its exit status, and that hostile text stays inert."""

from __future__ import annotations

import gzip
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from agent.cli import COMMANDS, main
from agent.cli.decode_command import command
from agent.cli.decode_events import visible
from tests.support.otlp import NOW, logs_request, metrics_request, spans_request

HOSTILE = "\x1b]0;owned\x07 \x1b[2J \x9b31m \u202eevil\u2066 \u200b\x00 \r\nforged line"


def run(*arguments: str, given: bytes | None = None) -> Result:
    """Run the command."""
    return CliRunner().invoke(command, list(arguments), input=given)


def objects(result: Result) -> list[dict[str, Any]]:
    """Return the JSON objects that were printed."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_all_well_ends_with_zero() -> None:
    """A line that says everything is shown with everything, and nothing is wrong."""
    line = {"time": "2026-06-01T12:00:00Z", "level": "error", "message": "pool of 50 used",
    "service.name": "cart",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "env": "prod"}  # fmt: skip
    result = run("-", given=json.dumps(line).encode())
    assert result.exit_code == 0
    for told in (
        "json", "cart  (from service.name)", "environment prod", "ERROR (17)", "pool of <num> used",
        "4bf92f3577b34da6a3ce929d0e0e4736", "2026-06-01T12:00:00", "log 1",
    ):  # fmt: skip
        assert told in result.stdout


def test_anything_refused_ends_with_one_and_says_what_to_do() -> None:
    """The reason, the advice and each format's own reason stand beside the record."""
    result = run("-", given=b'{"message": "x", "service": "a"}\n{"message": \n')
    assert result.exit_code == 1
    assert "malformed" in result.stdout
    assert "not as" in result.stdout
    assert "1 refused whole" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("-", "--topic", "t", "--bootstrap", "localhost:1"),
        ("--bootstrap", "localhost:1"),
        ("-", "--format", "no-such"),
        ("-", "--header", "no-value"),
        ("-", "--time-zone", "Nowhere/Else"),
        ("no-such-file.log",),
        ("-",),
    ],
)
def test_wrong_usage_and_nothing_to_read_end_with_two(arguments: tuple[str, ...]) -> None:
    """Each says on standard error what is wrong, without a trace."""
    result = run(*arguments, given=b"")
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_escapes_in_telemetry_are_inert_for_people(tmp_path: Path) -> None:
    """No control, format or separator character of a log reaches the terminal, wherever it stands."""
    line = {HOSTILE: HOSTILE, "message": HOSTILE, "service": HOSTILE, "host": HOSTILE, "trace_id": HOSTILE,
            "thread": HOSTILE, "env": HOSTILE}  # fmt: skip
    metric = {"name": HOSTILE, "value": 1, "unit": HOSTILE, "labels": {HOSTILE: HOSTILE}, "time": NOW}
    change = {"change": HOSTILE, "title": HOSTILE, "time": NOW}
    span = {
        "trace_id": HOSTILE,
        "span_id": HOSTILE,
        "name": HOSTILE,
        "start": NOW,
        "end": NOW,
        "peer": HOSTILE,
    }
    path = tmp_path / "evil\x1b[31m.log"
    path.write_text("".join(json.dumps(item) + "\n" for item in (line, metric, change, span)))
    result = run(str(path), "--topic", HOSTILE)
    assert "forged line" in result.stdout
    assert not any(line.startswith("forged") for line in result.stdout.splitlines())
    for char in result.stdout:
        assert char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_escapes_in_telemetry_are_inert_for_programs() -> None:
    """JSON is plain ASCII on lines of its own, and gives every character back."""
    result = run("-", "--json", given=json.dumps({"message": HOSTILE}).encode())
    assert result.stdout.isascii()
    assert "\x1b" not in result.stdout
    first, last = objects(result)
    assert first["events"][0]["event"]["body"] == HOSTILE
    assert last["type"] == "summary"


@given(st.text())
def test_visible_text_is_one_line_of_visible_characters(text: str) -> None:
    """Whatever a text holds, nothing of it moves a cursor or hides."""
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in visible(text))


def test_long_text_is_cut_and_says_so() -> None:
    """A body of 64 KiB does not fill the screen."""
    assert visible("x" * 1000, 10) == "xxxxxxxxxx… (+990 characters)"


def test_every_kind_is_shown(tmp_path: Path) -> None:
    """Logs, metrics and spans in protobuf, a change and an alert each show what they are."""
    request, metric = metrics_request()
    metric.name, metric.unit = "http.server.duration", "ms"
    metric.histogram.aggregation_temporality = 2
    metric.histogram.data_points.add(
        time_unix_nano=NOW, count=3, sum=4.5, bucket_counts=[1, 2], explicit_bounds=[5.0]
    )
    alert = {"version": "4", "groupKey": "g", "alerts": [
        {"status": "firing", "labels": {"alertname": "Slow", "service": "cart"},
         "startsAt": "2026-06-01T12:00:00Z"}
    ]}  # fmt: skip
    change = {"change": "deploy", "title": "cart 2.1", "service": "cart", "time": "2026-06-01T12:00:00Z"}
    made = {
        "logs": logs_request(time_unix_nano=NOW).SerializeToString(),
        "metrics": request.SerializeToString(),
        "spans": spans_request().SerializeToString(),
        "alert": json.dumps(alert).encode(),
        "change": json.dumps(change).encode(),
    }
    for name, raw in made.items():
        (tmp_path / name).write_bytes(raw)
    result = run(*(str(tmp_path / name) for name in made))
    assert result.exit_code == 0, result.stdout
    for told in (
        "http.server.duration", "(cumulative)", "span     GET", "root", "alert    ", "firing",
        "deploy: cart 2.1",
        "alert 1, change 1, log 1, metric", "records    5",
    ):  # fmt: skip
        assert told in result.stdout


def test_headers_reach_the_decoder() -> None:
    """A CloudEvent in binary mode is only one with its headers."""
    headers = ("ce_specversion=1.0", "ce_id=1", "ce_source=/ci", "ce_type=com.example.deployment.finished",
               "ce_time=2026-06-01T12:00:00Z", "content-type=application/json")  # fmt: skip
    told = [word for header in headers for word in ("--header", header)]
    result = run("-", *told, "--json", given=b'{"service": "cart", "version": "2.1"}')
    first = objects(result)[0]
    assert first["format"] == "cloudevents"
    assert first["events"][0]["kind"] == "change"


def test_settings_of_the_topic_are_tried_out() -> None:
    """Service, environment, time field and a forced format work as they would in the configuration."""
    told = ("--service", "cart", "--environment", "prod", "--time-field", "when", "--format", "json")
    result = run("-", "--json", *told, given=b'{"message": "x", "when": "2026-06-01T12:00:00Z"}')
    event = objects(result)[0]["events"][0]
    assert event["event"]["resource"]["service"] == "cart"
    assert event["event"]["resource"]["environment"] == "prod"
    assert event["own_time"]
    assert event["service_from"] == "the topic's setting"


def test_the_setting_can_be_pasted() -> None:
    """The last lines are YAML that the settings take as they are."""
    result = run("-", "--topic", "shop: logs", given=b'{"message": "x"}')
    pasted = yaml.safe_load(result.stdout.partition("For your configuration:\n")[2])
    assert pasted == {
        "kafka": {"topics": [{"name": "shop: logs", "format": "json", "service": "NAME-OF-THE-SERVICE"}]}
    }


def test_gzip_limits_and_ways_of_splitting(tmp_path: Path) -> None:
    """A packed file is read as it is, `--limit` ends it, `--records file` keeps lines together."""
    path = tmp_path / "dump.gz"
    path.write_bytes(gzip.compress(b"".join(b'{"message": "%d"}\n' % n for n in range(50))))
    assert objects(run(str(path), "--json"))[-1]["records"] == 50
    assert objects(run(str(path), "--json", "--limit", "7"))[-1]["records"] == 7
    whole = objects(run(str(path), "--json", "--records", "file"))[-1]
    assert (whole["records"], whole["events"]) == (1, {"log": 50})
    shown = run(str(path), "--show", "2").stdout
    assert "record 2 " in shown
    assert "record 3 " not in shown
    path.write_bytes(path.read_bytes()[:-9])
    assert run(str(path)).exit_code == 2


def test_colours_are_for_terminals() -> None:
    """Into a pipe no escape sequence is written, not even our own."""
    assert "\x1b" not in run("-", given=b'{"message": \n{"message": "x"}').stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_stand_on_lines_of_their_own(name: str) -> None:
    """Help is read to copy from it: no command's examples run together, nor show click's mark."""
    shown = CliRunner().invoke(main, [name, "--help"])
    assert shown.exit_code == 0
    assert "\\b" not in shown.stdout
    for line in shown.stdout.splitlines():
        assert line.count(f"faultline {name} ") <= 1
