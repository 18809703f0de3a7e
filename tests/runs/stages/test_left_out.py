import itertools

import numpy as np

import modularity_jax as mj
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.stages import left_out
from modularity_jax.runs.stages.left_out import Case
from modularity_jax.runs.tables import read_csv
from modularity_jax.runs.workdir import Workdir

NOTES = [
    ("lesion", {Case("pruned", 1, "weights", 10): "b"}),
    (
        "cluster",
        {
            Case("pruned", 10, "weights", 4): "a",
            Case("init", 3, "weights", 12): "c, d",
            Case("pruned", 2, "weights", 4): "a",
        },
    ),
]


def test_in_whatever_order_reasons_come_the_file_is_the_same(tmp_path):
    contents = set()
    for name, order in enumerate(itertools.permutations(NOTES)):
        workdir = Workdir(tmp_path / str(name), RunConfig())
        for stage, reasons in order:
            left_out.note(workdir, stage, reasons)
        contents.add((workdir.path / "left_out.csv").read_bytes())
    assert len(contents) == 1
    assert [(row["stage"], row["phase"], row["seed"]) for row in read_csv(workdir.path / "left_out.csv")] == [
        ("cluster", "init", 3), ("cluster", "pruned", 2), ("cluster", "pruned", 10), ("lesion", "pruned", 1),
    ]  # fmt: skip
    assert left_out.read(workdir, "lesion") == NOTES[0][1].keys()
    before = (workdir.path / "left_out.csv").stat().st_mtime_ns
    left_out.note(workdir, *NOTES[0])
    assert (workdir.path / "left_out.csv").stat().st_mtime_ns == before


def test_nothing_left_out_makes_no_file(tmp_path):
    workdir = Workdir(tmp_path, RunConfig())
    left_out.note(workdir, "cluster", {})
    assert not (workdir.path / "left_out.csv").exists()
    assert left_out.read(workdir, "cluster") == set()


def test_sentences_take_seeds_together(tmp_path):
    workdir = Workdir(tmp_path, RunConfig())
    for stage, reasons in NOTES:
        left_out.note(workdir, stage, reasons)
    assert left_out.sentences(read_csv(workdir.path / "left_out.csv")) == [
        "The init network of seed 3 could not be clustered at k = 12: c, d.",
        "The pruned networks of seeds 2, 10 could not be clustered at k = 4: a.",
        "The pruned network of seed 1 could not be damaged at k = 10: b.",
    ]


def test_why_a_network_cannot_be_cut_into_so_many():
    graph = mj.LayeredGraph.from_weights([np.eye(3, dtype=np.float32)])
    assert left_out.why_not(graph, 6) is None
    assert left_out.why_not(graph, 7) == "num_clusters must be at most the number of connected neurons, 6, got 7"
    assert "at least one edge" in left_out.why_not(mj.LayeredGraph.from_weights([np.zeros((3, 3))]), 2)
