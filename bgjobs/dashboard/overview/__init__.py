"""The numbers and charts above the log table of the first page."""
