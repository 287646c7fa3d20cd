"""The tables, as SQLAlchemy Core sees them; `migrations` makes them, a test keeps the two equal.

Absolute times are BIGINT nanoseconds, because SQLite drops time zones. What a query filters or sorts by
is a column; the whole value stands beside it in `body`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Words(TypeDecorator[str]):
    """Text that may come from telemetry: NUL and lone surrogates, which databases refuse, become U+FFFD.

    One odd service name must not make a checkpoint fail for ever.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else storable(value)


def storable(text: str) -> str:
    """Return `text` with NUL and lone surrogates replaced by U+FFFD."""
    if text.isprintable():
        return text
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Serial = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in an INTEGER primary key."""

streams = Table(
    "streams",
    metadata,
    Column("owner", Words, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("snapshot", LargeBinary, nullable=True),
)

stream_bases = Table(
    "stream_bases",
    metadata,
    Column("owner", Words, ForeignKey("streams.owner", ondelete="CASCADE"), primary_key=True),
    Column("base", LargeBinary, nullable=False),
)
"""Apart from `streams`: a row is rewritten whole, and this is large and rarely new."""

stream_windows = Table(
    "stream_windows",
    metadata,
    Column("owner", Words, ForeignKey("streams.owner", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("packed", LargeBinary, nullable=False),
)

stream_offsets = Table(
    "stream_offsets",
    metadata,
    Column("owner", Words, ForeignKey("streams.owner", ondelete="CASCADE"), primary_key=True),
    Column("topic", Words, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Words, primary_key=True),
    Column("environment", Words, nullable=False),
    Column("state", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("onset", BigInteger, nullable=False),
    Column("last_anomaly_at", BigInteger, nullable=False),
    Column("resolved_at", BigInteger, nullable=True),
    Column("merged_into", Words, nullable=True),
    Column("revision", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_incidents_onset", "onset", "id"),
    Index("ix_incidents_state", "state", "onset"),
    Index("ix_incidents_environment", "environment", "onset"),
)

incident_services = Table(
    "incident_services",
    metadata,
    Column("incident_id", Words, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("service", Words, primary_key=True),
    Index("ix_incident_services_service", "service"),
)

anomalies = Table(
    "anomalies",
    metadata,
    Column("id", Words, primary_key=True),
    Column("incident_id", Words, nullable=False),
    Column("environment", Words, nullable=False),
    Column("service", Words, nullable=False),
    Column("starts_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_anomalies_incident", "incident_id", "starts_at"),
    Index("ix_anomalies_starts_at", "starts_at"),
)

analyses = Table(
    "analyses",
    metadata,
    Column("incident_id", Words, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("stage", Text, primary_key=True),
    Column("stage_order", Integer, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

investigations = Table(
    "investigations",
    metadata,
    Column("incident_id", Words, ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("finished_revision", BigInteger, nullable=False),
    Column("as_of", BigInteger, nullable=False),
    Column("reason", Words, nullable=False),
    Column("waiting_since", BigInteger, nullable=False),
    Column("worker", Words, nullable=True),
    Column("leased_revision", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_investigations_waiting", "waiting_since", "incident_id"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("delivery_id", Words, nullable=False, unique=True),
    Column("channel", Words, nullable=False),
    Column("kind", Text, nullable=False),
    Column("incident_id", Words, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=True),
    Column("receipt", Words, nullable=True),
    Column("error", Words, nullable=True),
    Index("ix_outbox_state", "state", "seq"),
    Index("ix_outbox_incident", "incident_id", "channel", "seq"),
    sqlite_autoincrement=True,
)

telemetry = Table(
    "telemetry",
    metadata,
    Column("environment", Words, primary_key=True),
    Column("service", Words, primary_key=True),
    Column("minute", BigInteger, primary_key=True, autoincrement=False),
    Column("windows", LargeBinary, nullable=False),
    Index("ix_telemetry_minute", "minute", "environment"),
)

mutes = Table(
    "mutes",
    metadata,
    Column("id", Words, primary_key=True),
    Column("starts", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_mutes_ends", "ends"),
)

models = Table(
    "models",
    metadata,
    Column("owner", Words, ForeignKey("streams.owner", ondelete="CASCADE"), primary_key=True),
    Column("detector", Words, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("status", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", LargeBinary, nullable=True),
)

model_requests = Table(
    "model_requests",
    metadata,
    Column("seq", Serial, primary_key=True, autoincrement=True),
    Column("owner", Words, nullable=False),
    Column("detector", Words, nullable=False),
    Column("action", Text, nullable=False),
    Column("number", BigInteger, nullable=True),
    Column("asked_at", BigInteger, nullable=False),
    Column("answer", Words, nullable=True),
    Index("ix_model_requests_owner", "owner", "seq"),
    sqlite_autoincrement=True,
)
