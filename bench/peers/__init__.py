"""One file for each system that is measured: a :class:`~bench.driver.Driver` and nothing else."""
