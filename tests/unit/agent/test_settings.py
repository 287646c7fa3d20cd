"""Settings: one tree from file and environment, with errors that say what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent.app import parts
from agent.cli import main
from agent.halves import DetectHalf, IngestHalf
from agent.settings import Settings, SettingsError, flattened, load_settings, without_secrets


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAULTLINE_HOME", raising=False)


def written(folder: Path, text: str) -> Path:
    """Write a configuration file and return it."""
    path = folder / "faultline.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_arguments_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearer to the call, the stronger; sections of the file and the environment are merged."""
    path = written(
        tmp_path, "owner: from-file\nhttp: {port: 1111}\nkafka: {group_id: file, incidents_topic: file}\n"
    )
    monkeypatch.setenv("FAULTLINE_KAFKA__GROUP_ID", "environment")
    monkeypatch.setenv("FAULTLINE_OWNER", "environment")
    settings = load_settings(path, owner="argument")
    assert (settings.owner, settings.http.port) == ("argument", 1111)
    assert (settings.kafka.group_id, settings.kafka.incidents_topic) == ("environment", "file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kafka: {bootstrap_server: x}", "did you mean 'bootstrap_servers'"),
        ("htp: {}", "did you mean 'http'"),
        ("kafka: {topics: [{nam: x}]}", "did you mean 'name'"),
        ("- a list", "must hold a mapping"),
        ("a: [", "no YAML"),
        ("http: {host: 0.0.0.0}", "FAULTLINE_HTTP__API_KEY"),
        ("http: {port: seventy}", "http.port"),
    ],
)
def test_mistakes_name_their_place_and_the_mend(tmp_path: Path, text: str, said: str) -> None:
    """A wrong file ends in one error that names the key and the nearest known one."""
    with pytest.raises(SettingsError, match=said):
        load_settings(written(tmp_path, text))


def test_a_misspelt_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `FAULTLINE_` variable that sets nothing does not pass silently."""
    monkeypatch.setenv("FAULTLINE_KAKFA__GROUP_ID", "x")
    with pytest.raises(SettingsError, match="FAULTLINE_KAFKA"):
        load_settings()


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """A path that is not there is an error, not the defaults."""
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.yaml")


def test_check_hides_secrets_and_reference_lists_everything(tmp_path: Path) -> None:
    """`config check` shows the tree without secrets; `config reference` names every setting."""
    path = written(tmp_path, "http: {api_key: sesame}\n")
    shown = CliRunner().invoke(main, ["config", "check", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "sesame" not in shown.output
    reference = CliRunner().invoke(main, ["config", "reference"])
    assert reference.exit_code == 0
    assert all(name in reference.output for name, _, _ in flattened(Settings()))
    assert "sesame" not in str(without_secrets(load_settings(path).model_dump()))


@pytest.mark.parametrize(
    "text",
    [
        "database: postgresql://faultline:sesame@db:5432/faultline",
        "kafka: {client: {sasl_plain_username: me, sasl_plain_password: sesame}}",
    ],
)
def test_a_password_within_a_setting_is_not_shown(text: str, tmp_path: Path) -> None:
    """A URL's password and one passed through to the Kafka client are hidden, their neighbours not."""
    shown = CliRunner().invoke(main, ["config", "check", str(written(tmp_path, text))])
    assert shown.exit_code == 0
    assert "sesame" not in shown.output
    assert "@db:5432/faultline" in shown.output or "sasl_plain_username: me" in shown.output


def test_what_kubernetes_injects_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of a Kubernetes Service called `faultline` are not settings and not errors."""
    monkeypatch.setenv("FAULTLINE_PORT", "tcp://10.0.0.1:8321")
    monkeypatch.setenv("FAULTLINE_SERVICE_HOST", "10.0.0.1")
    load_settings()


def test_a_budget_beyond_the_context_is_refused() -> None:
    """Prompt and answer together must fit what the model is loaded with."""
    with pytest.raises(SettingsError, match="context_tokens"):
        load_settings(model={"prompt_tokens": 4000, "answer_tokens": 600})


def test_nothing_secret_is_shown() -> None:
    """Passwords in URLs, also in their queries and in lists, and pass-through tokens are hidden."""
    settings = load_settings(
        database="postgresql://db/x?password=hunter2",
        kafka={"client": {"sasl_oauth_token": "hunter4", "ssl_password": "hunter5"}},
        deliver={"webhooks": [{"name": "w", "url": "https://u:hunter3@h/x", "secret": "hunter6"}]},
    )
    assert "hunter" not in str(without_secrets(settings.model_dump()))


@pytest.mark.parametrize("role", ["ingest", "detect"])
def test_processes_that_share_work_need_a_broker_and_one_database(role: str) -> None:
    """Without what they meet at they would read twice or lose; the error names the setting."""
    with pytest.raises(SettingsError, match="bootstrap_servers"):
        load_settings(role=role)
    with pytest.raises(SettingsError, match="set database"):
        load_settings(role=role, kafka={"bootstrap_servers": "kafka:9092"})
    shared = load_settings(
        role=role, kafka={"bootstrap_servers": "kafka:9092"}, database="postgresql://db/faultline"
    )
    assert shared.role == role


def test_the_half_that_a_role_says_is_built() -> None:
    """Ingest has no detectors, detect reads parts, all does both."""
    common: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "kafka:9092"},
        "database": "postgresql://db/faultline",
    }
    built = {
        role: parts.pipeline(load_settings(role=role, **common), b"k")() for role in ("ingest", "detect")
    }
    assert isinstance(built["ingest"], IngestHalf)
    assert built["ingest"].versions() == ()
    assert isinstance(built["detect"], DetectHalf)
    assert built["detect"].versions() == parts.pipeline(load_settings(), b"k")().versions()
