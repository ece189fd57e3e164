import sqlalchemy as sa
from alembic import op

revision = "3"
down_revision = "2"


def upgrade():
    op.add_column("orders", sa.Column("note", sa.Text))
    op.alter_column("orders", "amount", nullable=False)


def downgrade():
    op.alter_column("orders", "amount", nullable=True)
    op.drop_column("orders", "note")
