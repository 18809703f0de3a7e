import dataclasses
import itertools
import logging
import shutil

import jax
import numpy as np
import pytest

import modularity_jax as mj
from modularity_jax import data
from modularity_jax.metric.items import partition_controls
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.report import write_report
from modularity_jax.runs import checkpoints, signals
from modularity_jax.runs.config import from_dict
from modularity_jax.runs.stages import cluster as clustering
from modularity_jax.runs.stages import inputs as stages
from modularity_jax.runs.stages import networks
from modularity_jax.runs.stages import train as training
from modularity_jax.runs.stages.cluster import cluster_stage
from modularity_jax.runs.stages.lesion import lesion_stage
from modularity_jax.runs.stages.train import train_stage
from modularity_jax.runs.store import Store
from modularity_jax.runs.tables import read_arrays, read_csv, read_json
from modularity_jax.runs.workdir import create_workdir
from tests.runs.workdirs import comparison_of

WIDTHS = (64, 16, 12, 10)
CONFIG = from_dict(
    {
        "data": {"name": "digits", "num_train": 300},
        "model": {"widths": WIDTHS},
        "train": {"num_seeds": 2, "seed": 3, "epochs": 2, "seeds_per_group": 2},
        "prune": {"epochs": 1},
        "cluster": {
            "num_clusters": [3],
            "methods": ["layer", "layer_nonzero"],
            "num_shuffles": 6,
            "num_restarts": 2,
            "shuffles_per_group": 3,
        },
    }
)
METRICS = "seed,phase,epoch,step,train_loss,train_accuracy,test_loss,test_accuracy,sparsity,nonfinite_step"
CLUSTERABILITY = (
    "seed,phase,graph,measure,num_clusters,method,observed,bound,shuffled_mean,shuffled_std,z_score,p_value,p_opposite,"
    "p_low,p_high,effect_size,num_shuffles,num_left_out,depth_share,num_isolated,num_components,num_empty,converged,test_accuracy"
)


def make(path, config=CONFIG):
    return create_workdir(path, config, "a command")


def content(path):
    """The bytes of a workdir's results; versions.json holds wall-clock times, pieces are what results are made of."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "versions.json" and file.parent.name != "pieces"
    }


def lose_results(workdir, *stages):
    """Removes the tables and arrays of stages, and leaves the pieces."""
    names = {"cluster": ("clusterability.csv", "clusters"), "lesion": ("lesions.csv", "double_lesions.csv", "lesions")}
    for name in (name for stage in stages for name in names[stage]):
        path = workdir.path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def lose_pieces(workdir, pattern="*", keep=0):
    """Removes pieces, of which the first few may stay; how many are gone."""
    files = sorted((workdir.path / "pieces").glob(pattern))[keep:]
    for file in files:
        file.unlink()
    return len(files)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    made = make(tmp_path_factory.mktemp("run") / "a")
    train_stage(made)
    cluster_stage(made)
    return made


@pytest.fixture
def copy(workdir, tmp_path):
    """A copy of the finished run to meddle with."""
    shutil.copytree(workdir.path, tmp_path / "copy")
    return dataclasses.replace(workdir, path=tmp_path / "copy")


@pytest.fixture
def forbidden(monkeypatch):
    """Training and clustering are errors."""

    def fail(*arguments, **settings):
        raise AssertionError("this was computed already")

    monkeypatch.setattr(clustering, "partition_controls", fail)
    monkeypatch.setattr(training, "train_seeds", fail)


def note_epochs(monkeypatch):
    """The list that will hold the phase and number of each epoch that is trained."""
    whole, noted = training.train_seeds, []

    def noting(*arguments, **settings):
        for epoch in whole(*arguments, **settings):
            noted.append((epoch.phase, epoch.epoch))
            yield epoch

    monkeypatch.setattr(training, "train_seeds", noting)
    return noted


def test_files_of_a_run(workdir):
    assert list(content(workdir.path)) == [
        "clusterability.csv", "clusters/init.npz", "clusters/pruned.npz", "clusters/unpruned.npz",
        "config.json", "metrics.csv", "weights/init.npz", "weights/pruned.npz", "weights/unpruned.npz",
    ]  # fmt: skip
    versions = read_json(workdir.path, "versions.json")
    assert set(versions["stage_seconds"]) == {"train", "cluster"}
    assert all(0 < versions["compile_seconds"][stage] < seconds for stage, seconds in versions["stage_seconds"].items())


def test_metrics(workdir):
    assert (workdir.path / "metrics.csv").read_text().splitlines()[0] == METRICS
    rows = read_csv(workdir.path / "metrics.csv")
    # 300 samples in batches of 128: 3 steps per epoch.
    expected = [("init", 0, 0), ("unpruned", 1, 3), ("unpruned", 2, 6), ("pruned", 1, 3)]
    assert [(r["seed"], r["phase"], r["epoch"], r["step"]) for r in rows] == [(s, *e) for e in expected for s in (0, 1)]
    by_epoch = {(r["seed"], r["phase"], r["epoch"]): r for r in rows}
    for seed in (0, 1):
        assert by_epoch[seed, "unpruned", 2]["train_loss"] < by_epoch[seed, "init", 0]["train_loss"]
        assert by_epoch[seed, "unpruned", 2]["sparsity"] == 0


def test_weights(workdir):
    shapes = list(zip(WIDTHS, WIDTHS[1:], strict=False))
    for phase in ("init", "unpruned", "pruned"):
        arrays = read_arrays(workdir.path, f"weights/{phase}.npz")
        expected = {f"seed_{s}/layer_{i:02d}/kernel": shape for s in (0, 1) for i, shape in enumerate(shapes)}
        expected |= {f"seed_{s}/layer_{i:02d}/bias": shape[1:] for s in (0, 1) for i, shape in enumerate(shapes)}
        assert {name: array.shape for name, array in arrays.items()} == expected
        zeros = {name: int((array == 0).sum()) for name, array in arrays.items() if name.endswith("kernel")}
        if phase == "pruned":
            assert list(zeros.values()) == [a * b - round(0.1 * a * b) for a, b in shapes] * 2
        else:
            assert not any(zeros.values())
        assert (arrays["seed_0/layer_00/kernel"] != arrays["seed_1/layer_00/kernel"]).any()


def test_the_accuracies_are_those_of_the_exported_weights(workdir):
    digits = data.load("digits")
    rows = read_csv(workdir.path / "metrics.csv")
    last = {(row["phase"], row["seed"]): row for row in rows}
    for phase in ("init", "unpruned", "pruned"):
        arrays = read_arrays(workdir.path, f"weights/{phase}.npz")
        for seed in (0, 1):
            x = digits.x_test
            for i in range(3):
                x = x @ arrays[f"seed_{seed}/layer_{i:02d}/kernel"] + arrays[f"seed_{seed}/layer_{i:02d}/bias"]
                x = np.maximum(x, 0) if i < 2 else x
            accuracy = (x.argmax(1) == digits.y_test).mean()
            assert last[phase, seed]["test_accuracy"] == pytest.approx(accuracy, rel=1e-6)
            clustered = [
                r for r in read_csv(workdir.path / "clusterability.csv") if (r["phase"], r["seed"]) == (phase, seed)
            ]
            assert {r["test_accuracy"] for r in clustered} == {last[phase, seed]["test_accuracy"]}


def test_clusterability_equals_the_metric_on_the_exported_weights(workdir):
    assert (workdir.path / "clusterability.csv").read_text().splitlines()[0] == CLUSTERABILITY
    rows = read_csv(workdir.path / "clusterability.csv")
    assert [(r["phase"], r["seed"], r["num_clusters"], r["method"]) for r in rows] == [
        (phase, seed, 3, method)
        for phase in ("init", "unpruned", "pruned")
        for seed in (0, 1)
        for method in ("layer", "layer_nonzero")
    ]
    for row in rows:
        weights = read_arrays(workdir.path, f"weights/{row['phase']}.npz", f"seed_{row['seed']}/")
        graph = mj.LayeredGraph.from_weights([weights[f"seed_{row['seed']}/layer_{i:02d}/kernel"] for i in range(3)])
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 2**32 - 1), row["seed"])
        test = mj.shuffle_test(
            graph, key, num_clusters=3, num_shuffles=6, method=row["method"], num_restarts=2, selection="inertia",
            refine=False, shuffles_per_group=3,
        )  # fmt: skip
        expected = {
            "observed": test.observed, "bound": test.clustering.lower_bound, "shuffled_mean": test.mean,
            "shuffled_std": test.std, "z_score": test.z_score, "p_value": test.p_value, "p_opposite": test.p_opposite,
            "p_low": test.p_interval[0], "p_high": test.p_interval[1], "effect_size": test.effect_size,
        }  # fmt: skip
        assert {name: np.float32(row[name]) for name in expected} == {n: np.float32(v) for n, v in expected.items()}
        assert (row["graph"], row["measure"]) == ("weights", "ncut")
        assert (row["num_shuffles"], row["num_left_out"], row["num_empty"], row["converged"]) == (6, 0, 0, True)
        assert row["num_isolated"] == int((np.asarray(graph.degrees()) == 0).sum())
        assert row["num_components"] == int(test.clustering.num_components)
        prefix = f"seed_{row['seed']}/weights/ncut/k_3"
        arrays = read_arrays(workdir.path, f"clusters/{row['phase']}.npz", prefix)
        assert set(arrays) == {
            f"{prefix}/{name}" for name in ("labels", "eigenvalues", "layer/controls", "layer_nonzero/controls")
        }
        np.testing.assert_array_equal(arrays[f"{prefix}/labels"], test.clustering.labels)
        np.testing.assert_array_equal(arrays[f"{prefix}/eigenvalues"], test.clustering.eigenvalues)
        np.testing.assert_array_equal(arrays[f"{prefix}/{row['method']}/controls"], test.controls)
    pruned = [row for row in rows if row["phase"] == "pruned"]
    assert all(row["num_isolated"] > 0 for row in pruned)


def test_a_second_run_computes_nothing(workdir, forbidden):
    before = content(workdir.path)
    times = {file: file.stat().st_mtime_ns for file in workdir.path.rglob("*") if file.is_file()}
    train_stage(workdir)
    cluster_stage(workdir)
    assert content(workdir.path) == before
    assert {file: file.stat().st_mtime_ns for file in times} == times


@pytest.mark.bits
@pytest.mark.parametrize("num_devices", [2, 4])
def test_another_workdir_gets_the_same_bytes_even_on_more_devices(workdir, tmp_path, num_devices):
    other, mesh = make(tmp_path / "b"), seed_mesh(jax.devices()[:num_devices])
    train_stage(other, mesh)
    cluster_stage(other, mesh)
    mine, yours = content(workdir.path), content(other.path)
    assert mine.keys() == yours.keys()
    for name in mine:
        assert mine[name] == yours[name], name


def test_a_half_finished_clustering_goes_on(workdir, copy, monkeypatch):
    """Of the controls of twelve tests those of five are there: the others are computed, and the whole ends the same."""
    lose_results(copy, "cluster")
    assert lose_pieces(copy, "controls-*", keep=5) == 7
    calls = []

    def counted(*given, method, **more):
        calls.append(method)
        return partition_controls(*given, method=method, **more)

    monkeypatch.setattr(clustering, "partition_controls", counted)
    cluster_stage(copy)
    assert len(calls) == 7
    assert content(copy.path) == content(workdir.path)


def test_tables_are_made_of_pieces_alone(workdir, copy, forbidden):
    lose_results(copy, "cluster")
    cluster_stage(copy)
    assert content(copy.path) == content(workdir.path)


@pytest.mark.parametrize(("table", "stage"), [("metrics.csv", train_stage), ("clusterability.csv", cluster_stage)])
def test_a_table_cut_at_the_end_of_a_line_is_made_again(workdir, copy, forbidden, table, stage):
    lines = (copy.path / table).read_bytes().splitlines(keepends=True)
    (copy.path / table).write_bytes(b"".join(lines[:-1]))
    stage(copy)
    assert content(copy.path) == content(workdir.path)


@pytest.mark.parametrize("missing", ["metrics.csv", "weights/unpruned.npz"])
def test_a_file_of_the_training_that_is_missing_is_made_of_pieces(workdir, copy, forbidden, missing):
    (copy.path / missing).unlink()
    train_stage(copy)
    assert content(copy.path) == content(workdir.path)


def test_without_pieces_training_starts_again(copy, forbidden):
    (copy.path / "metrics.csv").unlink()
    lose_pieces(copy)
    with pytest.raises(AssertionError, match="computed already"):
        train_stage(copy)


@pytest.mark.parametrize("seeds", [(0, 1), (1,)])
def test_a_finished_phase_is_not_trained_again(workdir, copy, monkeypatch, seeds):
    """The end was cut short within the last phase, for both networks or for one."""
    (copy.path / "metrics.csv").unlink()
    for seed in seeds:
        copy.store().drop(networks._network_key(CONFIG, "pruned", seed))
    trained = note_epochs(monkeypatch)
    train_stage(copy)
    assert trained == [("pruned", 1)]
    assert content(copy.path) == content(workdir.path)


def test_too_many_clusters_for_some_networks_leave_out_these(workdir, copy, forbidden, caplog):
    """The initial networks have 102 connected neurons, the pruned ones fewer: each of them for itself."""
    connected = {
        102 - r["num_isolated"]: r["seed"]
        for r in read_csv(workdir.path / "clusterability.csv")
        if r["phase"] == "pruned"
    }
    few, seed = min(connected.items())
    cluster = dataclasses.replace(CONFIG.cluster, num_clusters=(3, few + 1), phases=("pruned",))
    asked = dataclasses.replace(copy, config=dataclasses.replace(CONFIG, cluster=cluster))
    with pytest.raises(AssertionError, match="computed already"):  # the other network's
        cluster_stage(asked)
    reason = f"num_clusters must be at most the number of connected neurons, {few}, got {few + 1}"
    expected = [
        {
            "stage": "cluster",
            "phase": "pruned",
            "seed": seed,
            "graph": "weights",
            "num_clusters": few + 1,
            "reason": reason,
        }
    ]
    assert read_csv(copy.path / "left_out.csv") == expected
    told = f"The pruned network of seed {seed} could not be clustered at k = {few + 1}: {reason}."
    assert f"{told} --config.cluster.phases and --config.cluster.num_clusters can leave them out" in caplog.text


def test_where_nothing_can_be_clustered_the_stage_says_so(copy, forbidden):
    lose_results(copy, "cluster")
    cluster = dataclasses.replace(CONFIG.cluster, num_clusters=(103,))
    asked = dataclasses.replace(copy, config=dataclasses.replace(CONFIG, cluster=cluster))
    message = r"no network can be clustered: num_clusters must be at most the number of connected neurons, 102, got 103"
    with pytest.raises(ValueError, match=message):
        cluster_stage(asked)


def test_pruned_networks_without_an_edge_leave_the_others_and_the_report(workdir, tmp_path, caplog):
    cluster = dataclasses.replace(CONFIG.cluster, curve_epochs=(1,))
    prune = dataclasses.replace(CONFIG.prune, final_sparsity=0.9999)
    config = dataclasses.replace(CONFIG, prune=prune, cluster=cluster)
    made = make(tmp_path / "sparse", config)
    for stage in (train_stage, cluster_stage, lesion_stage):
        stage(made)
    page = write_report(made.path).read_text()
    rows = [row for row in read_csv(workdir.path / "clusterability.csv") if row["phase"] != "pruned"]
    assert read_csv(made.path / "clusterability.csv") == rows
    assert {row["phase"] for row in read_csv(made.path / "learning_curve.csv")} == {"init", "unpruned"}
    assert [(r["stage"], r["phase"], r["seed"], r["num_clusters"]) for r in read_csv(made.path / "left_out.csv")] == [
        ("cluster", "pruned", 0, 3), ("cluster", "pruned", 1, 3), ("lesion", "pruned", 0, 10),
        ("lesion", "pruned", 1, 10),
    ]  # fmt: skip
    for text in (page, caplog.text):
        assert "The pruned networks of seeds 0, 1 could not be clustered at k = 3: graph must have at least one" in text
        assert "The pruned networks of seeds 0, 1 could not be damaged at k = 10: graph must have at least one" in text
    assert "--config.lesion.num_shuffles=0 all lesions" in caplog.text
    before = content(made.path)
    for stage in (train_stage, cluster_stage, lesion_stage):
        stage(made)
    write_report(made.path)
    assert content(made.path) == before


def test_results_under_other_settings_of_jax_are_not_gone_on_with(copy, forbidden):
    (copy.path / "clusterability.csv").unlink()
    with jax.enable_x64(True), pytest.raises(ValueError, match=r"jax_enable_x64: False and True"):
        cluster_stage(copy)


def test_only_the_phases_that_the_config_asks_for(copy, monkeypatch):
    (copy.path / "clusterability.csv").unlink()
    lose_pieces(copy, "controls-*")
    seen = []

    def refuse(graph, *given, **more):
        seen.append(graph)
        raise KeyboardInterrupt

    monkeypatch.setattr(clustering, "partition_controls", refuse)
    cluster = dataclasses.replace(CONFIG.cluster, phases=("pruned",))
    asked = dataclasses.replace(copy, config=dataclasses.replace(CONFIG, cluster=cluster))
    with pytest.raises(KeyboardInterrupt):
        cluster_stage(asked)
    expected = read_arrays(copy.path, "weights/pruned.npz")["seed_0/layer_01/kernel"]
    np.testing.assert_array_equal(seen[0].affinities[1], np.abs(expected))


def test_clustering_without_networks_names_the_command(tmp_path, workdir, copy):
    empty = make(tmp_path / "empty")
    with pytest.raises(
        FileNotFoundError, match=rf"no metrics.csv; run `python -m experiments.train --workdir={empty.path}`"
    ):
        cluster_stage(empty)
    (copy.path / "weights/pruned.npz").unlink()
    with pytest.raises(FileNotFoundError, match=r"no weights/pruned.npz; run `python -m experiments.train "):
        cluster_stage(copy)


def test_samples_are_the_data_sets():
    samples, digits = stages.load_samples(CONFIG), data.load("digits")
    np.testing.assert_array_equal(samples.x_train, digits.x_train[:300])
    np.testing.assert_array_equal(samples.y_test, digits.y_test)
    whole = stages.load_samples(dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, num_train=0)))
    assert whole.x_train.shape == digits.x_train.shape


def test_a_learning_curve(tmp_path, workdir):
    """The epochs asked for and the last of each phase; the ends of phases are what the tables speak of."""
    cluster = dataclasses.replace(CONFIG.cluster, curve_epochs=(1,))
    made = create_workdir(tmp_path / "curve", dataclasses.replace(CONFIG, cluster=cluster), "a command")
    train_stage(made)
    rows = read_csv(made.path / "learning_curve.csv")
    assert [(r["seed"], r["phase"], r["epoch"]) for r in rows] == [
        (seed, phase, epoch)
        for phase, epoch in (("init", 0), ("unpruned", 1), ("unpruned", 2), ("pruned", 1))
        for seed in (0, 1)
    ]
    ends = {(r["phase"], r["seed"]): r for r in read_csv(workdir.path / "clusterability.csv") if r["method"] == "layer"}
    for row in (r for r in rows if (r["phase"], r["epoch"]) != ("unpruned", 1)):
        end = ends[row["phase"], row["seed"]]
        for name in ("num_clusters", "observed", "bound", "num_isolated", "test_accuracy"):
            assert row[name] == end[name]
        arrays = read_arrays(
            workdir.path, f"clusters/{row['phase']}.npz", f"seed_{row['seed']}/weights/ncut/k_3/layer/"
        )
        (first_six,) = arrays.values()
        graph = mj.LayeredGraph.from_weights(
            [
                read_arrays(made.path, f"weights/{row['phase']}.npz")[f"seed_{row['seed']}/layer_{i:02d}/kernel"]
                for i in range(3)
            ]
        )
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(3), 2**32 - 1), row["seed"])
        test = mj.shuffle_test(
            graph, key, num_clusters=3, num_shuffles=20, num_restarts=2, selection="inertia", refine=False,
            shuffles_per_group=3,
        )  # fmt: skip
        np.testing.assert_array_equal(test.controls[:6], first_six)
        assert (row["shuffled_mean"], row["shuffled_std"]) == pytest.approx(
            (float(test.mean), float(test.std)), rel=1e-5
        )
    assert [row["sparsity"] for row in rows[-2:]] == pytest.approx([0.9, 0.9], abs=0.01)
    # Nothing is trained again where the table is there, and everything where it is not.
    before = (made.path / "metrics.csv").stat().st_mtime_ns
    train_stage(made)
    assert (made.path / "metrics.csv").stat().st_mtime_ns == before
    (made.path / "learning_curve.csv").unlink()
    train_stage(made)
    assert read_csv(made.path / "learning_curve.csv") == rows


def interrupt(monkeypatch, stage, workdir, pieces):
    """Runs a stage until it has been asked to stop between pieces of work, as a signal would."""
    seen = itertools.count(1)

    def check():
        if next(seen) >= pieces:
            raise signals.StoppedError("stopped by SIGTERM")

    with monkeypatch.context() as patch:
        patch.setattr(signals, "is_wanted", lambda: True)
        patch.setattr(signals, "check", check)
        with pytest.raises(signals.StoppedError, match="stopped by SIGTERM"):
            stage(workdir)


def test_an_interrupted_training_goes_on_to_the_same_bytes(workdir, tmp_path, monkeypatch):
    """Stopped after every epoch in turn, the initial networks included."""
    other = make(tmp_path / "b")
    for pieces in (1, 2, 1, 1):
        interrupt(monkeypatch, train_stage, other, pieces)
    train_stage(other)  # all is there
    mine, yours = content(workdir.path), content(other.path)
    assert set(yours) == {"config.json", "metrics.csv", *(f"weights/{p}.npz" for p in ("init", "pruned", "unpruned"))}
    assert {name for name in yours if yours[name] != mine[name]} == set()


def test_a_long_test_in_chunks_goes_on_to_the_same_bytes(workdir, tmp_path, copy, monkeypatch):
    """Six controls in chunks of four, stopped in the middle of the first test and of the second."""
    lose_results(copy, "cluster")
    lose_pieces(copy)
    monkeypatch.setattr(clustering, "CHUNK", 4)
    interrupt(monkeypatch, cluster_stage, copy, 2)
    interrupt(monkeypatch, cluster_stage, copy, 3)
    assert not (copy.path / "clusterability.csv").exists()
    assert len(list(copy.path.glob("pieces/controls-*"))) == 3
    firsts = []

    def counted(*given, first, **more):
        firsts.append(first)
        return partition_controls(*given, first=first, **more)

    monkeypatch.setattr(clustering, "partition_controls", counted)
    cluster_stage(copy)
    assert firsts == [4] + [0, 4] * 10
    assert content(copy.path) == content(workdir.path)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(workdir, tmp_path, monkeypatch, caplog):
    other = make(tmp_path / "b")
    caplog.set_level(logging.INFO, logger="absl")
    monkeypatch.setattr(checkpoints, "SECONDS", -1.0)  # a checkpoint after every epoch
    interrupt(monkeypatch, train_stage, other, 3)
    (before,) = other.path.glob("checkpoints/train/[0-9]*")  # of epoch 1; the end of the phase is in the store
    newest = shutil.copytree(before, before.with_name("2"))
    data_file = max((f for f in newest.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    data_file.write_bytes(data_file.read_bytes()[: data_file.stat().st_size // 2])
    for seed in (0, 1):  # the end of the phase would be further
        other.store().drop(networks._network_key(CONFIG, "unpruned", seed))
    train_stage(other)
    assert f"checkpoint {newest} is damaged" in caplog.text
    assert "goes on after epoch 1 of the unpruned phase" in caplog.text
    assert (other.path / "weights/pruned.npz").read_bytes() == (workdir.path / "weights/pruned.npz").read_bytes()
    assert (other.path / "metrics.csv").read_bytes() == (workdir.path / "metrics.csv").read_bytes()


def test_another_config_is_refused_beside_a_checkpoint(tmp_path, monkeypatch):
    other = make(tmp_path / "b")
    interrupt(monkeypatch, train_stage, other, 2)
    config = dataclasses.replace(other.config, train=dataclasses.replace(other.config.train, learning_rate=0.01))
    with pytest.raises(ValueError, match=r"another config .*train.learning_rate: 0.001 and 0.01"):
        make(tmp_path / "b", config)
    assert checkpoints.Checkpoints(other.path).latest()
    (share,) = training._shares(dataclasses.replace(other, config=config), None)
    assert share == ([0, 1], None, [], [])


def test_a_checkpoint_of_some_networks(workdir, tmp_path, monkeypatch):
    """A process was killed while it kept the end of a phase: one network has it, the checkpoint is of both."""
    other = make(tmp_path / "b")
    monkeypatch.setattr(checkpoints, "SECONDS", -1.0)
    put = Store.put

    def killed(store, key, arrays):
        if (key["phase"], key["network"]) == ("unpruned", 1):
            raise KeyboardInterrupt
        put(store, key, arrays)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            train_stage(other)
    saved = checkpoints.Checkpoints(other.path).latest()
    (share,) = training._shares(other, saved)
    assert (share.seeds, share.resume.phase, share.resume.epoch) == ([0, 1], "unpruned", 1)
    alone = training._shares(other, None)
    assert [(share.seeds, share.resume and share.resume.phase) for share in alone] == [([1], None), ([0], "unpruned")]
    train_stage(other)
    assert (other.path / "weights/pruned.npz").read_bytes() == (workdir.path / "weights/pruned.npz").read_bytes()
    assert (other.path / "metrics.csv").read_bytes() == (workdir.path / "metrics.csv").read_bytes()
    assert not (other.path / "checkpoints").exists()


@pytest.mark.parametrize(
    "name", ["clusterability.csv", "clusters/unpruned.npz", "weights/init.npz", "metrics.csv", "pieces/controls-*"]
)
def test_a_damaged_file_is_named_and_made_again(workdir, copy, name, caplog):
    path = min(copy.path.glob(name))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if name.startswith("pieces"):
        lose_results(copy, "cluster")
    train_stage(copy)
    cluster_stage(copy)
    assert f"{path} is" in caplog.text
    assert content(copy.path) == content(workdir.path)


def lose(monkeypatch, lost, epoch_lost=2):
    """From an epoch of the unpruned phase on, the loss of one network is not finite, nor are its weights."""
    whole = training.train_seeds

    def losing(*arguments, **settings):
        for epoch in whole(*arguments, **settings):
            broken = epoch.phase == "pruned" or (epoch.phase == "unpruned" and epoch.epoch >= epoch_lost)
            if not broken:
                yield epoch
                continue
            params = jax.tree.map(lambda leaf: np.array(leaf), epoch.params)
            for seed in lost:
                params["layer_00"]["kernel"][seed] = np.nan
            step = np.isin(np.arange(2), lost) * 2
            yield epoch._replace(filled=params, metrics=epoch.metrics._replace(nonfinite_step=step))

    monkeypatch.setattr(training, "train_seeds", losing)


def test_a_network_whose_loss_is_not_finite_is_marked_and_left_out(workdir, tmp_path, monkeypatch, caplog):
    lose(monkeypatch, [1])
    cluster = dataclasses.replace(CONFIG.cluster, curve_epochs=(1,))
    made = make(tmp_path / "lost", dataclasses.replace(CONFIG, cluster=cluster))
    train_stage(made)
    assert caplog.text.count("seed 1: the loss is not finite at step 5 of the unpruned phase; the network is left") == 1
    marks = {(r["seed"], r["phase"], r["epoch"]): r["nonfinite_step"] for r in read_csv(made.path / "metrics.csv")}
    steps = 3  # of an epoch
    assert {place: step for place, step in marks.items() if step} == {
        (1, "unpruned", 2): steps + 2, (1, "pruned", 1): 2,
    }  # fmt: skip
    curve = {(r["seed"], r["phase"], r["epoch"]) for r in read_csv(made.path / "learning_curve.csv")}
    assert {place for place in curve if place[0] == 1} == {(1, "init", 0), (1, "unpruned", 1)}
    cluster_stage(made)
    whole = {comparison_of(row): row for row in read_csv(workdir.path / "clusterability.csv")}
    rows = {comparison_of(row): row for row in read_csv(made.path / "clusterability.csv")}
    assert {group[:2] for group in whole.keys() - rows.keys()} == {("unpruned", 1), ("pruned", 1)}
    assert all(whole[group] == row for group, row in rows.items())


def test_no_network_with_a_finite_loss(workdir, tmp_path, monkeypatch, caplog):
    """What was finite before is tested."""
    lose(monkeypatch, [0, 1])
    made = make(tmp_path / "lost")
    train_stage(made)
    cluster_stage(made)
    assert "no unpruned network has a finite loss, and none is tested; try a lower train.learning_rate" in caplog.text
    assert read_csv(made.path / "clusterability.csv") == [
        r for r in read_csv(workdir.path / "clusterability.csv") if r["phase"] == "init"
    ]
    only = dataclasses.replace(made.config, cluster=dataclasses.replace(made.config.cluster, phases=("unpruned",)))
    (made.path / "clusterability.csv").unlink()
    with pytest.raises(ValueError, match=r"no network can be clustered: none has a finite loss; try a lower train"):
        cluster_stage(dataclasses.replace(made, config=only))


def test_a_loss_that_is_not_finite_can_stop_the_run(tmp_path, monkeypatch):
    lose(monkeypatch, [1])
    config = dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, on_nan="fail"))
    message = r"seed 1: the loss is not finite at step 5 of the unpruned phase \(train.on_nan is 'fail'\)"
    with pytest.raises(ValueError, match=message):
        train_stage(make(tmp_path / "lost", config))
