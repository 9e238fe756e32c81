"""The supervisor: one process a database and host that claims jobs and sees them through."""
