"""What carries a committed job to where it runs."""
