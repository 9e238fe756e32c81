"""The processes of jobs: who they are, how they are started, spoken to and ended."""
