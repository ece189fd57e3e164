import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade():
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("customer", sa.Integer),
        sa.Column("amount", sa.Integer),
    )


def downgrade():
    op.drop_table("orders")
