"""Benchmarks: ``make bench`` (see ``__main__.py``), and ``python -m bench.dashboard`` for the pages."""
