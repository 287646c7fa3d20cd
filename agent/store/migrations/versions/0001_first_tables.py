"""First tables: streams, incidents, anomalies, analyses, investigations, outbox, telemetry."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def text(name: str, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.Text, nullable=null)


def big(name: str, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.BigInteger, nullable=null, autoincrement=False)


def blob(name: str, null: bool = False) -> sa.Column:
    return sa.Column(name, sa.LargeBinary, nullable=null)


def key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=f"pk_{table}")


def of_incident(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["incident_id"], ["incidents.id"], ondelete="CASCADE", name=f"fk_{table}_incident_id"
    )


def upgrade() -> None:
    _streams()
    _incidents()
    _investigations()
    _outbox()
    op.create_table(
        "telemetry", text("environment"), text("service"), big("minute"), blob("windows"),
        key("telemetry", "environment", "service", "minute"),
    )
    op.create_index("ix_telemetry_minute", "telemetry", ["minute", "environment"])


def _streams() -> None:
    op.create_table("streams", text("owner"), big("epoch"), blob("snapshot", null=True), key("streams", "owner"))
    op.create_table(
        "stream_offsets", text("owner"), text("topic"),
        sa.Column("part", sa.Integer, nullable=False), big("next_offset"),
        key("stream_offsets", "owner", "topic", "part"),
        sa.ForeignKeyConstraint(
            ["owner"], ["streams.owner"], ondelete="CASCADE", name="fk_stream_offsets_owner"
        ),
    )


def _incidents() -> None:
    op.create_table(
        "incidents", text("id"), text("environment"), text("state"), text("severity"), big("onset"),
        big("last_anomaly_at"), big("resolved_at", null=True), text("merged_into", null=True),
        big("revision"), text("body"), key("incidents", "id"),
    )
    op.create_index("ix_incidents_onset", "incidents", ["onset", "id"])
    op.create_index("ix_incidents_state", "incidents", ["state", "onset"])
    op.create_index("ix_incidents_environment", "incidents", ["environment", "onset"])
    op.create_table(
        "incident_services", text("incident_id"), text("service"),
        key("incident_services", "incident_id", "service"), of_incident("incident_services"),
    )
    op.create_index("ix_incident_services_service", "incident_services", ["service"])
    op.create_table(
        "anomalies", text("id"), text("incident_id"), text("environment"), text("service"),
        big("starts_at"), text("body"), key("anomalies", "id"),
    )
    op.create_index("ix_anomalies_incident", "anomalies", ["incident_id", "starts_at"])
    op.create_index("ix_anomalies_starts_at", "anomalies", ["starts_at"])


def _investigations() -> None:
    op.create_table(
        "analyses", text("incident_id"), big("revision"), text("stage"),
        sa.Column("stage_order", sa.Integer, nullable=False), big("saved_at"), text("body"),
        key("analyses", "incident_id", "revision", "stage"), of_incident("analyses"),
    )
    op.create_table(
        "investigations", text("incident_id"), big("revision"), big("finished_revision"), big("as_of"),
        text("reason"), big("waiting_since"), text("worker", null=True), big("leased_revision"),
        sa.Column("attempts", sa.Integer, nullable=False), big("expires_at"),
        key("investigations", "incident_id"), of_incident("investigations"),
    )
    op.create_index("ix_investigations_waiting", "investigations", ["waiting_since", "incident_id"])


def _outbox() -> None:
    op.create_table(
        "outbox", sa.Column("seq", SERIAL, nullable=False, autoincrement=True), text("delivery_id"),
        text("channel"), text("kind"), text("incident_id"), blob("payload"), big("created_at"),
        text("state"), sa.Column("attempts", sa.Integer, nullable=False), big("next_at"),
        big("claimed_until"), big("sent_at", null=True), text("receipt", null=True),
        text("error", null=True), key("outbox", "seq"),
        sa.UniqueConstraint("delivery_id", name="uq_outbox_delivery_id"), sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_state", "outbox", ["state", "seq"])
    op.create_index("ix_outbox_incident", "outbox", ["incident_id", "channel", "seq"])


def downgrade() -> None:
    for table in (
        "telemetry", "outbox", "investigations", "analyses", "anomalies", "incident_services",
        "incidents", "stream_offsets", "streams",
    ):
        op.drop_table(table)
