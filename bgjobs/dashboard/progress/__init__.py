"""How far one job is, for the pages of the host: its readers have no access to the dashboard."""
