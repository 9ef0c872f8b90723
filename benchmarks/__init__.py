"""Benchmarks of tacit, each beside a yardstick."""
