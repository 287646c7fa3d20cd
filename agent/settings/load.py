"""Reads the settings from one YAML file and `FAULTLINE_…` variables, and explains what is wrong with them.

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
    SecretStr,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from agent.settings.sections import (
    DeliverSettings,
    DetectorSettings,
    HttpSettings,
    IncidentSettings,
    KafkaSettings,
    KnowledgeSettings,
    MaintenanceSettings,
    ModelSettings,
    MuteSettings,
    RetrainingSettings,
    StreamSettings,
    WindowSettings,
)

PREFIX = "FAULTLINE_"
Role = Literal["all", "ingest", "detect"]
_SECRET_NAME = re.compile(r"password|secret|token$|api_key")
_URL_QUERY = re.compile(r"(?i)([?&](?:password|secret|token)=)[^&\s]+")
_HIDDEN = "••••"
_URL_PASSWORD = re.compile(r"(://[^/@:]*:)[^/]*@")


_KUBERNETES = re.compile(r"FAULTLINE_(?:SERVICE_|PORT(?:_|$))")
"""What Kubernetes injects into every pod beside a Service called `faultline`."""


class SettingsError(Exception):
    """The configuration cannot be used; the message says where and what to write instead."""


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
    role: Role = "all"
    """`all` does everything in one process. To scale, several `ingest` read telemetry and make windows, and
    one `detect` merges these and goes on; each has an owner of its own, all have one PostgreSQL."""
    edges: tuple[tuple[str, str], ...] = ()
    """Caller and callee pairs that telemetry does not show."""
    kafka: KafkaSettings = KafkaSettings()
    windows: WindowSettings = WindowSettings()
    stream: StreamSettings = StreamSettings()
    detectors: DetectorSettings = DetectorSettings()
    incidents: IncidentSettings = IncidentSettings()
    retraining: RetrainingSettings = RetrainingSettings()
    maintenance: tuple[MaintenanceSettings, ...] = ()
    """Planned work, each `services` or `environment`, `starts`, `until` (RFC 3339) and `reason`; what comes
    up at short notice is for `faultline mutes maintenance` and the API."""
    mutes: tuple[MuteSettings, ...] = ()
    """Known noise, each `subject`, or `detector` and `services`, with `starts`, `until` and `reason`."""
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
    if settings.role != "all" and not settings.kafka.bootstrap_servers:
        raise SettingsError(
            f"role {settings.role}: ingest and detect processes meet at Kafka; set kafka.bootstrap_servers"
        )
    if settings.role != "all" and not settings.database:
        raise SettingsError(
            f"role {settings.role}: ingest and detect processes share one database, which says who has "
            "read how far; set database to a PostgreSQL URL"
        )
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
