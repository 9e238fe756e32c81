"""Benchmarks: ``make bench`` (see ``__main__.py``), and ``python bench/search.py`` for the log table."""
