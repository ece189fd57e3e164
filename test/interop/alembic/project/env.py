import os

from alembic import context
from sqlalchemy import create_engine

engine = create_engine(os.environ["DATABASE_URL"].replace("postgres:", "postgresql:", 1))

with engine.connect() as connection:
    context.configure(
        connection=connection,
        transaction_per_migration="TRANSACTION_PER_MIGRATION" in os.environ,
    )
    with context.begin_transaction():
        context.run_migrations()
