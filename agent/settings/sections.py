"""The sections of the settings: one typed value for each part of the service, with its defaults.

Unknown keys are refused; `agent.settings.load` explains them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from agent.mutes import Mute, MuteKind, moment, mute
from ingest.decoders.times import zone_named

Format = Literal[
    "auto", "otlp", "otlp_logs", "otlp_metrics", "otlp_traces", "otlp_json",
    "json", "ecs", "fluent_bit", "vector", "docker", "syslog", "syslog_json", "text",
    "telegraf", "prometheus_json", "collectd", "cloudevents", "alertmanager",
]  # fmt: skip


AUTHOR = "the configuration"
"""Who asks for mutes that stand in the settings."""


class Section(BaseModel):
    """What all sections have in common: frozen, and nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TopicSettings(Section):
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


class KafkaSettings(Section):
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
    windows_topic: str = "faultline.windows"
    """Carries partial windows from processes of role ingest to those of role detect."""
    dead_letter_topic: str = "faultline.dead-letter"
    client: dict[str, Any] = Field(default_factory=dict)
    """Any kafka-python client setting by its own name, for consumer, producer and admin."""
    consumer: dict[str, Any] = Field(default_factory=dict)
    producer: dict[str, Any] = Field(default_factory=dict)


class WindowSettings(Section):
    """Event time (seconds)."""

    width: int = Field(default=10, ge=1)
    lateness: int = Field(default=5, ge=0)
    idle: int = Field(default=15, ge=1)


class StreamSettings(Section):
    """The stream thread."""

    checkpoint_seconds: float = Field(default=5.0, gt=0)
    pause_at: int = Field(default=10_000, ge=1)
    resume_at: int = Field(default=5_000, ge=0)


class IncidentSettings(Section):
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


class RetrainingSettings(Section):
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


class DetectorSettings(Section):
    """When a metric's finding is worth telling."""

    alarms_a_day: float = Field(default=2.0, gt=0)
    """Findings about single series that an environment may bring in a day when nothing is wrong."""
    horizon: int = Field(default=3600, ge=60)
    """Seconds ahead within which something filling up is reported."""
    shadow: tuple[str, ...] = ()
    """Detectors that run and are counted, and open no incident: for one that has to show its worth first."""

    @field_validator("shadow")
    @classmethod
    def _exist(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if names:
            from detectors.suite import default_detectors

            known = sorted(one.name for one in default_detectors())
            for name in names:
                if name not in known:
                    raise ValueError(f"there is no detector {name!r}; there are: {', '.join(known)}")
        return names


class QuietSettings(Section):
    """What maintenance and mutes say alike. Times are RFC 3339 with a zone; after `until` it does nothing."""

    environment: str | None = None
    services: tuple[str, ...] = ()
    starts: str
    until: str
    reason: str

    def named(self) -> Mute:
        """Return it as the stream takes it. Raises `MuteError`."""
        starts = moment(self.starts, 0)
        return mute(
            kind=MuteKind.MAINTENANCE,
            starts=starts,
            ends=moment(self.until, starts),
            reason=self.reason,
            author=AUTHOR,
            now=starts,
            environment=self.environment,
            services=self.services,
        )

    @model_validator(mode="after")
    def _can_be_taken(self) -> QuietSettings:
        self.named()
        return self


class MaintenanceSettings(QuietSettings):
    """Work on services or an environment: what is found there is shown and counted, and pages nobody."""


class MuteSettings(QuietSettings):
    """A detector's findings on services, or one template or series, that are known to be noise."""

    detector: str | None = None
    subject: str | None = None
    """A template id, a series as it is shown, or an alert's fingerprint."""

    def named(self) -> Mute:
        """Return it as the stream takes it. Raises `MuteError`."""
        starts = moment(self.starts, 0)
        return mute(
            kind=MuteKind.MUTE,
            starts=starts,
            ends=moment(self.until, starts),
            reason=self.reason,
            author=AUTHOR,
            now=starts,
            environment=self.environment,
            services=self.services,
            detector=self.detector,
            subject=self.subject,
        )


class ModelSettings(Section):
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


class KnowledgeSettings(Section):
    """Runbooks and their index."""

    runbooks: tuple[Path, ...] = ()
    """Folders of Markdown beside the shipped ones."""
    shipped: bool = True
    qdrant: str = ""
    """URL, or a folder; empty is `<home>/qdrant`."""
    embeddings: bool = True


class WebhookSettings(Section):
    """One generic webhook, signed with HMAC-SHA256."""

    name: str
    url: str
    secret: SecretStr
    minimum_severity: Literal["critical", "error", "warning", "info"] = "info"
    timeout_seconds: float = 5.0


class SlackSettings(Section):
    """One Slack incoming webhook."""

    name: str
    webhook_url: SecretStr
    minimum_severity: Literal["critical", "error", "warning", "info"] = "warning"


class DeliverSettings(Section):
    """Where notifications go. The incidents topic follows `kafka.bootstrap_servers`."""

    webhooks: tuple[WebhookSettings, ...] = ()
    slack: tuple[SlackSettings, ...] = ()
    public_url: str = ""
    """How people reach the incident pages; empty is the bind address."""
    max_attempts: int = Field(default=12, ge=1)


class HttpSettings(Section):
    """The HTTP API and the incident pages."""

    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65535)
    api_key: SecretStr = SecretStr("")
    """Required unless `host` is a loopback address."""
