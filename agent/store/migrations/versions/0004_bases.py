"""The detectors' whole state and the windows since, apart from what is written with every checkpoint."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stream_bases",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("base", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_stream_bases"),
        sa.ForeignKeyConstraint(
            ["owner"], ["streams.owner"], ondelete="CASCADE", name="fk_stream_bases_owner"
        ),
    )


    op.create_table(
        "stream_windows",
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("packed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "number", name="pk_stream_windows"),
        sa.ForeignKeyConstraint(
            ["owner"], ["streams.owner"], ondelete="CASCADE", name="fk_stream_windows_owner"
        ),
    )


def downgrade() -> None:
    op.drop_table("stream_windows")
    op.drop_table("stream_bases")
