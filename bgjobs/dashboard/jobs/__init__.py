"""The list of jobs, and what is done with several of them at once."""
