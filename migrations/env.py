"""The Alembic environment of bgjobs: always online, on the connection that the package hands over."""

from alembic import context

from bgjobs.models import VERSION_TABLE, Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
