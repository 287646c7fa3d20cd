"""Every setting there is, typed, from one YAML file and `FAULTLINE_…` variables. Read only by app and cli."""

from agent.settings.load import Settings, SettingsError, flattened, load_settings, without_secrets
from agent.settings.sections import (
    DeliverSettings,
    DetectorSettings,
    Format,
    HttpSettings,
    IncidentSettings,
    KafkaSettings,
    KnowledgeSettings,
    ModelSettings,
    RetrainingSettings,
    SlackSettings,
    StreamSettings,
    TopicSettings,
    WebhookSettings,
    WindowSettings,
)

__all__ = [
    "DeliverSettings",
    "DetectorSettings",
    "Format",
    "HttpSettings",
    "IncidentSettings",
    "KafkaSettings",
    "KnowledgeSettings",
    "ModelSettings",
    "RetrainingSettings",
    "Settings",
    "SettingsError",
    "SlackSettings",
    "StreamSettings",
    "TopicSettings",
    "WebhookSettings",
    "WindowSettings",
    "flattened",
    "load_settings",
    "without_secrets",
]
