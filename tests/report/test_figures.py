import shutil

import numpy as np
import pytest
from matplotlib.image import imread

from modularity_jax.report.figures import (
    FIGURES,
    controls,
    dependencies,
    eigenvalues,
    front_controls,
    front_curve,
    modules,
    training,
    write_figures,
)
from modularity_jax.report.findings.lesions import drawn_lesions
from modularity_jax.report.frames import read_run, typed
from modularity_jax.report.write import write_report
from modularity_jax.runs.tables import write_csv
from tests.report import made
from tests.runs import workdirs

NAMES = [
    "front_controls", "front_phases", "front_sweep", "controls", "k_sweep", "network_k4", "network_k12", "shares",
    "eigenvalues", "lesions", "lesion_classes", "lesion_shares", "lesion_pairs", "dependencies", "training",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = workdirs.make_workdir(tmp_path_factory.mktemp("runs") / "run", num_seeds=2, num_shuffles=19, epochs=2)
    return workdirs.add_lesions(made)


def drawn(path):
    """All pictures of a run, in the order of the report."""
    return [picture for pictures in write_figures(read_run(path)).values() for picture in pictures]


def only(figure, run):
    (found,) = figure.draw(run)
    return found.figure


@pytest.fixture(scope="module")
def written(run):
    return drawn(run)


def test_every_figure_is_there_and_none_is_blank(run, written):
    assert [figure.name for figure in written] == NAMES
    assert sorted(path.name for path in (run / "figures").iterdir()) == sorted(
        f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")
    )
    for figure in written:
        pixels = imread(run / "figures" / f"{figure.name}.png")[..., :3]
        assert pixels.shape[1] == (645 if figure.name.startswith("front") else 1500)
        assert (pixels.min(axis=2) < 0.9).mean() > 0.01
        assert (run / "figures" / f"{figure.name}.svg").read_text().rstrip().endswith("</svg>")
        assert figure.caption.endswith(".")
        assert figure.reading.endswith(".")


def contents(run):
    return {path.name: path.read_bytes() for path in (run / "figures").iterdir()}


def test_drawing_again_gives_the_same_bytes(run, written):
    before = contents(run)
    assert drawn(run) == written
    assert contents(run) == before


def test_the_name_in_the_registry_is_all_that_a_figure_needs(run, monkeypatch):
    monkeypatch.setattr("modularity_jax.report.figures.FIGURES", {"result": ("eigenvalues",)})
    assert {name: [figure.name for figure in made] for name, made in write_figures(read_run(run)).items()} == {
        "result": ["eigenvalues"]
    }


def test_a_figure_of_ones_own_stands_in_the_report(tmp_path, monkeypatch):
    run = workdirs.make_workdir(tmp_path / "run", num_seeds=1, sizes=(4,), num_shuffles=19, epochs=1)
    monkeypatch.setitem(FIGURES, "training", (*FIGURES["training"], "tests.plugs.figure"))
    page = write_report(run).read_text(encoding="utf-8")
    assert "Accuracy by phase, from outside." in page
    assert (run / "figures" / "figure.png").stat().st_size > 1000


def test_the_users_style_changes_nothing_and_is_left_alone(run, written):
    import matplotlib as mpl

    before = contents(run)
    theirs = {"text.usetex": True, "font.family": "serif", "figure.dpi": 30, "savefig.dpi": 30, "axes.grid": False}
    theirs |= {"axes.prop_cycle": mpl.cycler(color="ky"), "svg.fonttype": "none", "path.sketch": (1, 100, 2)}
    with mpl.rc_context(theirs | {"lines.linewidth": 9, "savefig.transparent": True, "savefig.bbox": "tight"}):
        settings = mpl.rcParams.copy()
        assert drawn(run) == written
        assert contents(run) == before
        assert mpl.rcParams == settings


def test_what_is_missing_is_left_out(tmp_path):
    run = workdirs.make_workdir(tmp_path / "run", num_seeds=1, sizes=(4,), num_shuffles=19, epochs=1)
    (run / "metrics.csv").unlink()
    (run / "weights" / "pruned.npz").unlink()
    (run / "clusters" / "init.npz").unlink()
    assert [figure.name for figure in drawn(run)] == [
        "front_controls", "front_phases", "controls", "eigenvalues",
    ]  # fmt: skip
    for path in (run / "clusters").iterdir():
        path.unlink()
    assert [figure.name for figure in drawn(run)] == ["front_phases"]


def test_modules_are_ranked_by_depth():
    labels = np.array([2, 2, -1, 0, 2, 1, 1])
    ranked = modules.rank_modules(labels, (3, 2, 2), num_clusters=3)
    assert [list(layer) for layer in ranked.labels] == [[0, 0, -1], [1, 0], [2, 2]]
    assert ranked.counts.tolist() == [[2, 0, 0], [1, 1, 0], [0, 0, 2]]
    assert ranked.isolated.tolist() == [1, 0, 0]


def test_labels_must_fit_the_layers():
    with pytest.raises(ValueError, match="labels must be one per neuron: 5 neurons, got 4 labels"):
        modules.rank_modules(np.zeros(4, int), (3, 2), num_clusters=1)


def test_cut_shares_add_up_to_the_ncut_of_its_definition():
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=(6, 5)), rng.normal(size=(5, 4))]
    labels = rng.permutation(np.arange(15) % 3)
    ranked = modules.rank_modules(labels, (6, 5, 4), num_clusters=3)
    flows = modules.module_flows(kernels, ranked)
    assert sum(flow.sum() for flow in flows) == pytest.approx(sum(np.abs(kernel).sum() for kernel in kernels))
    assert modules.cut_shares(flows).sum() == pytest.approx(workdirs.slow_ncut(kernels, labels, 3))


def test_disjoint_modules_have_no_cut_and_an_empty_one_has_no_term():
    kernel = np.kron(np.eye(2), np.ones((2, 2)))
    ranked = modules.rank_modules(np.array([0, 0, 1, 1] * 2), (4, 4), num_clusters=3)
    assert modules.cut_shares(modules.module_flows([kernel], ranked)).tolist() == [0.0, 0.0, 0.0]


def test_a_phase_that_counts_from_one_again_follows_the_one_before():
    rows = [
        {"seed": 0, "phase": phase, "epoch": epoch, "train_loss": 1.0, "test_loss": 1.0, "sparsity": 0.0}
        | {"train_accuracy": 0.5, "test_accuracy": 0.5}
        for phase in ("unpruned", "pruned")
        for epoch in (1, 2, 3)
    ]

    def epochs():
        run = made.run_of(metrics=typed(rows, {}))
        return list(only(training, run).axes[0].lines[0].get_xdata())

    assert epochs() == [1, 2, 3, 4, 5, 6]
    for row in rows[3:]:
        row["epoch"] += 3
    assert epochs() == [1, 2, 3, 4, 5, 6]


def test_the_laplacian_is_one_minus_the_adjacency():
    (axes,) = only(eigenvalues, made.run_of(eigenvalues={"pruned": np.array([[1.0, 0.5], [1.0, 0.3]])})).axes
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.0, 0.6])


def test_constant_controls_can_be_drawn():
    row = {"graph": "weights", "measure": "ncut", "num_clusters": 2, "observed": 1.0, "bound": 1.0}
    run = made.run_of([row], shuffled={("pruned", 0, "weights", "ncut", 2, "layer"): np.ones(20)})
    low, high = only(controls, run).axes[0].get_ylim()
    assert low < 1.0 < high


def test_a_phase_that_lacks_a_number_of_clusters_has_no_panel_there():
    cases = (("init", 2), ("pruned", 2), ("pruned", 3))
    rows = [
        {"phase": phase, "graph": "weights", "measure": "ncut", "num_clusters": k, "observed": 1.0, "bound": 0.5}
        for phase, k in cases
    ]
    shuffled = {(phase, 0, "weights", "ncut", k, "layer"): np.linspace(1.0, 1.2, 20) for phase, k in cases}
    panels = only(controls, made.run_of(rows, shuffled=shuffled)).axes
    assert [axes.get_visible() for axes in panels] == [True, True, False, True]
    assert panels[3].get_ylabel().startswith("n-cut (0 to 3")


def test_the_dependency_graph_has_the_edges_of_its_definition(run):
    read = read_run(run)
    singles, doubles = (drawn_lesions(frame, read.lesions) for frame in (read.lesions, read.double_lesions))
    edge = ((1, 0), (2, 0))
    assert dependencies.edges(singles, doubles) == [edge]
    needless = (doubles["layer_a"] == 2) & (doubles["cluster_a"] == 0)
    both = doubles.assign(important=doubles["important"] & ~needless)
    assert dependencies.edges(singles, both) == [edge, edge[::-1]]
    # Neither a pair within a layer nor one with an unimportant sub-module makes an edge.
    none = doubles.assign(important=doubles["layer_a"] != doubles["layer_b"])
    assert dependencies.edges(singles, none) == []


def test_lesions_without_pairs_or_arrays(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "double_lesions.csv").unlink()
    (tmp_path / "run" / "lesions" / "pruned.npz").unlink()
    names = [figure.name for figure in drawn(tmp_path / "run")]
    assert [name for name in names if "lesion" in name or name == "dependencies"] == ["lesion_shares"]


@pytest.mark.parametrize("controls", [True, False], ids=["with controls", "of an earlier version"])
def test_a_learning_curve(run, tmp_path, controls):
    shutil.copytree(run, tmp_path / "run")
    rows = [
        {"seed": s, "phase": p, "epoch": e, "graph": "weights", "measure": "ncut", "num_clusters": k}
        | {"observed": k / 2 - 0.1 * e, "test_accuracy": 0.9}
        | ({"shuffled_mean": k / 2 - 0.05 * e} if controls else {})
        for p in ("unpruned", "pruned") for e in (1, 2) for k in (4, 12) for s in (0, 1)
    ]  # fmt: skip
    write_csv(tmp_path / "run" / "learning_curve.csv", rows, tuple(rows[0]))
    names = [figure.name for figure in drawn(tmp_path / "run")]
    expected = ["front_curve" if name == "front_phases" else name for name in NAMES]
    assert names == [*expected[:-1], "learning_curve", "training"]
    (axes, _) = only(front_curve, read_run(tmp_path / "run")).axes
    lines = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert lines.pop("network") == pytest.approx([1.9, 1.8, 1.9, 1.8])
    assert lines == ({"its weights shuffled": pytest.approx([1.95, 1.9, 1.95, 1.9])} if controls else {})


def test_controls_that_all_fall_apart_can_be_drawn_as_shares_of_nothing():
    rows = [
        {"seed": seed, "graph": "weights", "measure": "ncut", "num_clusters": 3, "observed": 0.0} for seed in (0, 1)
    ]
    run = made.run_of(rows, shuffled={("pruned", seed, "weights", "ncut", 3, "layer"): np.zeros(4) for seed in (0, 1)})
    assert only(front_controls, run).axes[0].get_ylim()[1] >= 0
