"""Versions of detectors' models, and what people ask of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "models",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("owner", "detector", "number", name="pk_models"),
        sa.ForeignKeyConstraint(["owner"], ["streams.owner"], ondelete="CASCADE", name="fk_models_owner"),
    )
    op.create_table(
        "model_requests",
        sa.Column("seq", SERIAL, nullable=False, autoincrement=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=True),
        sa.Column("asked_at", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("seq", name="pk_model_requests"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_model_requests_owner", "model_requests", ["owner", "seq"])


def downgrade() -> None:
    op.drop_table("model_requests")
    op.drop_table("models")
