"""A run as one self-contained page: the question, the answer, three figures, then all the rest."""

from modularity_jax.report.write import write_report

__all__ = ["write_report"]
