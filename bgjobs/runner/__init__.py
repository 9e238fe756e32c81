"""One job in its process: the call, the job's view of itself, and the outcome as data."""
