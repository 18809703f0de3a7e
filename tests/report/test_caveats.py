"""Shuffle tests that are weaker than they look: what tables keep, what is summed up, what is said."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax.metric.shuffle_test import compare_with
from modularity_jax.report.findings import caveats, depths, find
from modularity_jax.report.findings.comparisons import comparison_table
from modularity_jax.report.frames import read_run, with_p
from modularity_jax.report.terminal import terminal_table
from modularity_jax.runs.stages.cluster import CLUSTERABILITY_COLUMNS, row_of
from modularity_jax.runs.tables import read_csv, write_csv
from modularity_jax.runs.workdir import Comparison
from tests.metric import nets
from tests.report import made
from tests.runs import workdirs

FOUND = mj.cluster(nets.random_net(0, (10, 8, 6)), jax.random.key(0), num_clusters=3, num_restarts=2)


def row(seed, controls, converged=True):
    test = compare_with(FOUND, jnp.asarray(controls, jnp.float32), jnp.full(len(controls), converged))
    return row_of(Comparison("pruned", seed, "weights", "ncut", 3, "layer"), test)


ROWS = [
    row(0, [2.0, np.nan, 2.1, np.nan, 2.2]),
    row(1, [2.0, 2.3, 2.1, np.nan, 2.2], converged=False),
    row(2, [np.nan] * 5),
    row(3, [2.0] * 5),
]


def test_rows_of_controls_that_cannot_be_compared(tmp_path):
    assert [r["num_left_out"] for r in ROWS] == [2, 1, 5, 0]
    assert [r["num_shuffles"] for r in ROWS] == [5] * 4
    assert [r["p_value"] is None for r in ROWS] == [False, False, True, False]
    write_csv(tmp_path / "t.csv", ROWS, CLUSTERABILITY_COLUMNS)
    read = read_csv(tmp_path / "t.csv", CLUSTERABILITY_COLUMNS)
    assert read == ROWS
    tests = with_p(read)
    assert list(zip(tests["seed"], tests["num_shuffles"], strict=True)) == [(0, 3), (1, 4), (3, 5)]
    compared = comparison_table(tests)
    assert list(compared["num_seeds"]) == [3]
    assert "nan" not in terminal_table(compared)


def test_what_is_said_of_them():
    assert caveats(made.table_of(ROWS)) == [
        "pruned, k = 3, layer: 1–5 of 5 controls of seeds 0, 1, 2 have fewer than 3 connected neurons; they cannot be "
        "cut into as many modules and are left out of p, so that seed 2 has none.",
        "pruned, k = 3, layer: the eigenvectors of seed 1 or of controls did not converge; these partitions may "
        "be worse than they could be.",
    ]
    assert caveats(made.table_of(ROWS[:1])) == [
        "pruned, k = 3, layer: 2 of 5 controls of seed 0 have fewer than 3 connected neurons; they cannot be cut into "
        "as many modules and are left out of p."
    ]
    assert caveats(made.table_of(ROWS[3:])) == []


def test_their_arrays_hold_what_was_compared(tmp_path):
    path = workdirs.make_workdir(tmp_path / "run", num_seeds=1, sizes=(4,), num_shuffles=19, epochs=1)
    with np.load(path / "clusters" / "pruned.npz") as arrays:
        held = dict(arrays)
    held["seed_0/weights/ncut/k_4/layer/controls"][:2] = np.nan
    np.savez(path / "clusters" / "pruned.npz", **held)
    shuffled = read_run(path).shuffled
    np.testing.assert_array_equal(
        shuffled["pruned", 0, "weights", "ncut", 4, "layer"], held["seed_0/weights/ncut/k_4/layer/controls"][2:]
    )
    assert len(shuffled["pruned", 0, "weights", "ncut", 4, "layer_nonzero"]) == 19


def test_the_report_says_so_and_a_run_without_any_p_has_none(tmp_path):
    path = workdirs.make_workdir(tmp_path / "run", num_seeds=2, sizes=(4,), num_shuffles=19, epochs=1)
    rows = read_csv(path / "clusterability.csv")
    marked = [r | {"num_left_out": 0, "converged": r["seed"] > 0} for r in rows]
    write_csv(path / "clusterability.csv", marked, list(marked[0]))
    found = find(read_run(path)).caveats
    assert len(found) > 1
    assert all("the eigenvectors of seed 0 or of controls did not converge" in text for text in found[:-1])
    gone = [r | {"num_left_out": 19, "p_value": None} for r in marked]
    write_csv(path / "clusterability.csv", gone, list(gone[0]))
    with pytest.raises(
        ValueError, match=r"holds no test with a p: .*19 of 19 controls of seeds 0, 1 have fewer than 4"
    ):
        find(read_run(path))


def test_the_depth_of_partitions_is_told():
    rows = [row(seed, [2.0, 2.1]) | {"depth_share": share} for seed, share in ((0, 0.9), (1, 0.8))]
    rows += [own | {"measure": "modularity", "depth_share": 0.01} for own in rows]
    rows += [own | {"phase": "init", "depth_share": 0.3} for own in rows[:1]]
    earlier_last = made.table_of(rows[-1:] + rows[:-1])
    assert depths(earlier_last) == [
        "Of what the pruned networks' partitions tell, the layer has 85% by n-cut at k = 3 (little more than depth) "
        "and 1% by modularity at k = 3: depth is a good cut of any layered network, but no modularity."
    ]
    assert depths(made.table_of([own | {"depth_share": None} for own in rows])) == []
