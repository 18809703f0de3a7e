"""A table of a paper of one's own."""

from experiments.papers.cells import Cell, Table


def read():
    """A figure, as published."""
    yield Cell("digits", "pruned", 3, "n-cut", 1.5, 0.1, 4, "a paper of one's own")


TABLE = Table((3,), 2, read, phases=("pruned",))
