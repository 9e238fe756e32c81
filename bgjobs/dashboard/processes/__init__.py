"""The processes: who starts the jobs, and what each running one uses."""
