"""Moving the jobs to another database while they are dispatched and run.

What has ended is history: it is copied, as often as one likes. What has not ended must be claimable in one of the
two databases only: it is handed over, which takes it out of the old one before it appears in the new one.
"""
