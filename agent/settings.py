"""Every setting there is, typed, from one YAML file and `FAULTLINE_…` variables. Read only by app and cli.

Unknown keys are errors that name the nearest known key. A variable names a setting by its path, joined
with two underscores: `FAULTLINE_KAFKA__BOOTSTRAP_SERVERS=broker:9092`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ingest.decoders.times import zone_named

Format = Literal[
    "auto", "otlp", "otlp_logs", "otlp_metrics", "otlp_traces", "otlp_json",
    "json", "ecs", "fluent_bit", "vector", "docker", "syslog", "syslog_json", "text",
    "telegraf", "prometheus_json", "collectd", "cloudevents", "alertmanager",
]  # fmt: skip


PREFIX = "FAULTLINE_"
_SECRET_NAME = re.compile(r"password|secret|token$|api_key")
_URL_QUERY = re.compile(r"(?i)([?&](?:password|secret|token)=)[^&\s]+")
_HIDDEN = "••••"
_URL_PASSWORD = re.compile(r"(://[^/@:]*:)[^/]*@")


_KUBERNETES = re.compile(r"FAULTLINE_(?:SERVICE_|PORT(?:_|$))")
"""What Kubernetes injects into every pod beside a Service called `faultline`."""


class SettingsError(Exception):
    """The configuration cannot be used; the message says where and what to write instead."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TopicSettings(_Section):
    """One telemetry topic. `name` may be a regular expression when it begins with `^`."""

    name: str
    format: Format = "auto"
    environment: str = "default"
    service: str = "unknown"
    time_field: str | None = None
    """The field that holds a JSON log's time, where it is none of the usual ones."""
    time_zone: str | None = None
    """Where clocks stand that name no zone, such as Europe/Berlin or +01:00; UTC when not set."""

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, name: str | None) -> str | None:
        if name is not None:
            zone_named(name)
        return name


class KafkaSettings(_Section):
    """The Kafka cluster that telemetry comes from and incidents go to."""

    bootstrap_servers: str = ""
    """`host:port,host:port`; empty runs without Kafka (recordings and HTTP only)."""
    group_id: str = "faultline"
    topics: tuple[TopicSettings, ...] = (
        TopicSettings(name="telemetry.logs"),
        TopicSettings(name="telemetry.metrics"),
        TopicSettings(name="telemetry.traces"),
        TopicSettings(name="telemetry.changes"),
    )
    incidents_topic: str = "faultline.incidents"
    dead_letter_topic: str = "faultline.dead-letter"
    client: dict[str, Any] = Field(default_factory=dict)
    """Any kafka-python client setting by its own name, for consumer, producer and admin."""
    consumer: dict[str, Any] = Field(default_factory=dict)
    producer: dict[str, Any] = Field(default_factory=dict)


class WindowSettings(_Section):
    """Event time (seconds)."""

    width: int = Field(default=10, ge=1)
    lateness: int = Field(default=5, ge=0)
    idle: int = Field(default=15, ge=1)


class StreamSettings(_Section):
    """The stream thread."""

    checkpoint_seconds: float = Field(default=5.0, gt=0)
    pause_at: int = Field(default=10_000, ge=1)
    resume_at: int = Field(default=5_000, ge=0)


class IncidentSettings(_Section):
    """When anomalies become incidents and incidents investigations (seconds of stream time)."""

    join_within: int = Field(default=120, ge=0)
    """Since an incident's last anomaly."""
    pair_within: int = Field(default=60, ge=0)
    """Between two anomalies that open an incident together."""
    strong: float = Field(default=2.0, ge=1)
    """Multiple of the threshold that opens an incident alone."""
    resolve_after: int = Field(default=300, ge=1)
    reopen_within: int = Field(default=1800, ge=0)
    first_analysis_after: int = Field(default=15, ge=0)
    analysis_every: int = Field(default=120, ge=1)
    baseline_minutes: int = Field(default=60, ge=1)
    """Time before the onset that counts as normal, less other incidents."""


class RetrainingSettings(_Section):
    """When a detector learns anew beside itself and takes over (hours of stream time)."""

    automatic: bool = True
    """False: only `faultline detectors retrain` does."""
    span_hours: float = Field(default=24.0, gt=0)
    """Inputs are compared span by span; a day, so that no hour of the day looks like drift."""
    distance: float = Field(default=0.4, gt=0, le=1)
    """Share of an input's values that must have crossed some level for it to have drifted."""
    share: float = Field(default=0.5, gt=0, le=1)
    """Share of a detector's inputs that must have drifted."""
    drifted_spans: int = Field(default=3, ge=1)
    """So many spans in a row: more than a weekend."""
    flagged: float = Field(default=0.2, gt=0, le=1)
    """Share of windows with a finding from which a model does not fit its system."""
    flagged_spans: int = Field(default=1, ge=1)
    shadow_hours: float = Field(default=24.0, gt=0)
    """How long a new version runs beside the old one before it takes over."""
    pause_hours: float = Field(default=168.0, ge=0)
    """After a retraining or a rollback, before a rule begins another."""


class DetectorSettings(_Section):
    """When a metric's finding is worth telling."""

    alarms_a_day: float = Field(default=2.0, gt=0)
    """Findings about single series that an environment may bring in a day when nothing is wrong."""
    horizon: int = Field(default=3600, ge=60)
    """Seconds ahead within which something filling up is reported."""


class ModelSettings(_Section):
    """The language model that words an analysis; statistics need none."""

    kind: Literal["llamacpp", "openai", "none"] = "llamacpp"
    name: str = "qwen2.5-coder-1.5b-instruct-q4_k_m"
    """A name of `faultline models list`, or with `path` any label."""
    path: Path | None = None
    """Any GGUF file."""
    base_url: str = ""
    """OpenAI-compatible server (llama-server, vLLM), with kind `openai`."""
    api_key: SecretStr = SecretStr("")
    context_tokens: int = Field(default=4096, ge=1024)
    prompt_tokens: int = Field(default=1200, ge=300)
    answer_tokens: int = Field(default=200, ge=64)
    deadline_seconds: float = Field(default=120.0, gt=0)
    threads: int | None = None
    tokens_per_day: int = Field(default=2_000_000, ge=0)

    @model_validator(mode="after")
    def _fits(self) -> ModelSettings:
        if self.prompt_tokens + self.answer_tokens > self.context_tokens:
            raise ValueError("prompt_tokens and answer_tokens together must fit context_tokens; raise that")
        return self


class KnowledgeSettings(_Section):
    """Runbooks and their index."""

    runbooks: tuple[Path, ...] = ()
    """Folders of Markdown beside the shipped ones."""
    shipped: bool = True
    qdrant: str = ""
    """URL, or a folder; empty is `<home>/qdrant`."""
    embeddings: bool = True


class WebhookSettings(_Section):
    """One generic webhook, signed with HMAC-SHA256."""

    name: str
    url: str
    secret: SecretStr
    minimum_severity: Literal["critical", "error", "warning", "info"] = "info"
    timeout_seconds: float = 5.0


class SlackSettings(_Section):
    """One Slack incoming webhook."""

    name: str
    webhook_url: SecretStr
    minimum_severity: Literal["critical", "error", "warning", "info"] = "warning"


class DeliverSettings(_Section):
    """Where notifications go. The incidents topic follows `kafka.bootstrap_servers`."""

    webhooks: tuple[WebhookSettings, ...] = ()
    slack: tuple[SlackSettings, ...] = ()
    public_url: str = ""
    """How people reach the incident pages; empty is the bind address."""
    max_attempts: int = Field(default=12, ge=1)


class HttpSettings(_Section):
    """The HTTP API and the incident pages."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    api_key: SecretStr = SecretStr("")
    """Required unless `host` is a loopback address."""


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    home: Path = Path("~/.local/share/faultline")
    """Models, the embedded database and index live here."""
    database: str = ""
    """SQLAlchemy URL; empty is SQLite in `home`."""
    redaction_key: SecretStr = SecretStr("")
    """Keys the hashes that stand for secrets; empty makes one in `home` on first start."""
    owner: str = "stream-0"
    """Name of this stream's place in the store; one process at a time holds it."""
    edges: tuple[tuple[str, str], ...] = ()
    """Caller and callee pairs that telemetry does not show."""
    kafka: KafkaSettings = KafkaSettings()
    windows: WindowSettings = WindowSettings()
    stream: StreamSettings = StreamSettings()
    detectors: DetectorSettings = DetectorSettings()
    incidents: IncidentSettings = IncidentSettings()
    retraining: RetrainingSettings = RetrainingSettings()
    model: ModelSettings = ModelSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    deliver: DeliverSettings = DeliverSettings()
    http: HttpSettings = HttpSettings()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def home_folder(self) -> Path:
        return self.home.expanduser()

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home_folder / 'faultline.db'}"


def load_settings(path: Path | None = None, **overrides: Any) -> Settings:
    """Return the settings of `path` (YAML), the environment and `overrides`. Raises `SettingsError`."""
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(
                f"{path}: cannot be read ({error.strerror}); give --config a YAML file"
            ) from error
        except yaml.YAMLError as error:
            raise SettingsError(f"{path}: is no YAML: {error}") from error
        if loaded is not None and not isinstance(loaded, dict):
            raise SettingsError(f"{path}: must hold a mapping of settings; see `faultline config reference`")
        tree = loaded or {}
    _refuse_unknown_variables(os.environ)
    try:
        settings = _over(tree)(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_explained(error, path))) from error
    if (
        settings.http.host not in {"127.0.0.1", "::1", "localhost"}
        and not settings.http.api_key.get_secret_value()
    ):
        raise SettingsError(
            f"http.api_key: needed because http.host {settings.http.host!r} is no loopback address; "
            "set FAULTLINE_HTTP__API_KEY"
        )
    return settings


def _over(tree: dict[str, Any]) -> type[Settings]:
    """Return the settings type whose defaults a file's `tree` replaces: arguments, environment, file."""

    class WithFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=tree)

    return WithFile


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Raise `SettingsError` for a `FAULTLINE_…` variable that sets nothing: a typo must not pass silently."""
    known = set(Settings.model_fields)
    for variable in environment:
        if _KUBERNETES.match(variable):
            continue
        name = variable.removeprefix(PREFIX).split("__")[0].lower()
        if not variable.startswith(PREFIX) or name in known or name.startswith(("test_", "data")):
            continue
        near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
        hint = f"did you mean {PREFIX}{near[0].upper()}?" if near else "see `faultline config reference`"
        raise SettingsError(f"{variable}: unknown setting; {hint}")


def _explained(error: ValidationError, path: Path | None) -> Iterator[str]:
    where = f"{path}: " if path else ""
    for problem in error.errors():
        names = [str(part) for part in problem["loc"]]
        dotted = ".".join(names)
        if problem["type"] == "extra_forbidden":
            known = sorted(_known(Settings, names[:-1]))
            near = difflib.get_close_matches(names[-1], known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
            yield f"{where}{dotted}: unknown setting; {hint}"
        else:
            yield f"{where}{dotted}: {problem['msg']}"


def _known(model: type[BaseModel], names: list[str]) -> set[str]:
    """Return the field names of the section that `names` leads to (list positions are passed over)."""
    for name in names:
        field = model.model_fields.get(name)
        if field is None:
            continue
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        sections = [part for part in inner if isinstance(part, type) and issubclass(part, BaseModel)]
        if sections:
            model = sections[0]
    return set(model.model_fields)


def flattened(settings: BaseModel, prefix: str = "") -> Iterator[tuple[str, object, str]]:
    """Yield (dotted name, value, description) of every setting, for `faultline config reference`."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, field.description or ""


def without_secrets(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dumped settings tree that is safe to log or show: secrets as dots, paths as text.

    Secrets are also passwords in URLs, and pass-through settings whose names say so.
    """
    return {name: _shown(value, secret=bool(_SECRET_NAME.search(name))) for name, value in tree.items()}


def _shown(value: Any, *, secret: bool) -> Any:
    if isinstance(value, Mapping):
        return without_secrets(value)
    if isinstance(value, list | tuple):
        return [_shown(item, secret=secret) for item in value]
    if isinstance(value, SecretStr):
        return _HIDDEN if value.get_secret_value() else ""
    if isinstance(value, str):
        hidden = _URL_QUERY.sub(rf"\1{_HIDDEN}", _URL_PASSWORD.sub(rf"\1{_HIDDEN}@", value))
        return _HIDDEN if secret and value else hidden
    return str(value) if isinstance(value, Path) else value
