"""Thin launchers: `python -m experiments.run --help`."""
