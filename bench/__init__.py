"""Benchmarks: one row a question, beside the floor that is possible, measured in the same run."""
