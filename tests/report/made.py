"""A run made by hand, without a directory."""

import pathlib

import pandas as pd

from modularity_jax.report.frames import Run, typed, with_p

CLUSTERABILITY = {
    "seed": 0, "phase": "pruned", "graph": "weights", "measure": "ncut", "num_clusters": 4,
    "method": "layer", "observed": 2.0, "bound": 1.5,
    "shuffled_mean": 2.1, "z_score": -3.0, "p_value": 0.01, "p_opposite": 0.99, "num_shuffles": 199, "num_left_out": 0,
    "converged": True,
}  # fmt: skip


def tests_of(rows):
    """Rows of `clusterability.csv`, what they lack filled up, as a frame."""
    return with_p([CLUSTERABILITY | row for row in rows])


def table_of(rows):
    """The same with the rows that have no p."""
    dtypes = {"seed": "int64", "num_clusters": "int64", "converged": "boolean"}
    return typed([CLUSTERABILITY | row for row in rows], dtypes)


def run_of(rows=(), **fields):
    """A run with these rows of `clusterability.csv`, and other fields of `Run`."""
    empty = dict.fromkeys(
        (
            "metrics",
            "lesions",
            "double_lesions",
            "partitionings",
            "submodules",
            "specialisation",
            "left_out",
            "learning_curve",
            "sweep",
        ),
        pd.DataFrame(),
    )
    nothing = {
        "config": {},
        "versions": {},
        "shuffled": {},
        "eigenvalues": {},
        "network": None,
        "lesion_arrays": {},
        "axes": {},
    }
    made = {"workdir": pathlib.Path("none"), **empty, **nothing, **fields}
    return (
        Run(clusterability=table_of(rows), tests=tests_of(rows), **made)
        if rows
        else Run(clusterability=pd.DataFrame(), tests=pd.DataFrame(), **made)
    )
