"""A form with the parameters of a job, from which a new one is made."""
