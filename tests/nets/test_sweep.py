import functools
import re

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

from modularity_jax.nets import models, pruning, sweep, training
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.hyperparameters import Network, values_of

PAPER = ModelConfig(dropout_rate=0.5)  # 784-256-256-256-256-10
SMALL = ModelConfig(widths=(12, 8, 6, 4))
GROUP = 2


def draw(inputs, classes, num_train, num_test):
    rng = np.random.default_rng(0)

    def split(count):
        return jnp.asarray(rng.random((count, inputs), np.float32)), jnp.asarray(rng.integers(0, classes, count))

    x_train, y_train = split(num_train)
    return training.Samples(x_train, y_train, *split(num_test))


@pytest.fixture(scope="module")
def samples():
    return draw(12, 4, 50, 20)


def train(
    samples, model, seed_ids, num_devices=None, epochs=1, prune_epochs=1, group_size=GROUP, num_seeds=4, batch_size=128
):
    mesh = sweep.seed_mesh(jax.devices()[:num_devices]) if num_devices else None
    return list(
        sweep.train_seeds(
            samples,
            model=model,
            train=TrainConfig(num_seeds=num_seeds, epochs=epochs, seeds_per_group=group_size, batch_size=batch_size),
            prune=PruneConfig(epochs=prune_epochs, frequency=2),
            mesh=mesh,
            networks=None if seed_ids is None else [Network(seed) for seed in seed_ids],
        )
    )


@functools.cache
def paper_run(num_devices, seed_ids=(0, 1, 2, 3)):
    """One epoch of training and one of pruning of the paper's networks."""
    run = train(draw(784, 10, 300, 40), PAPER, list(seed_ids), num_devices)
    return jax.device_get([(progress.params, progress.metrics) for progress in run])


def assert_same_bits(one, other):
    leaves = jax.tree_util.tree_leaves_with_path(one)
    assert len(leaves) == 3 * (2 * 5 + 6)  # phases of kernels, biases and metrics
    for (path, a), b in zip(leaves, jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))


def pick(run, seeds):
    return jax.tree.map(lambda leaf: leaf[np.array(seeds)], run)


@pytest.mark.bits
@pytest.mark.parametrize("num_devices", [2, 4])
def test_the_number_of_devices_changes_no_bit(num_devices):
    assert_same_bits(paper_run(1), paper_run(num_devices))


@pytest.mark.bits
def test_a_seed_alone_equals_the_seed_among_others():
    assert_same_bits(pick(paper_run(1), [2]), paper_run(1, (2,)))


def test_the_networks_were_trained_and_pruned():
    """Otherwise the tests above would compare nothing."""
    (init, _), (unpruned, _), (pruned, metrics) = paper_run(1)
    for name, layer in init.items():
        # Dropout in three steps leaves some units without a gradient.
        assert (unpruned[name]["kernel"] != layer["kernel"]).mean() > 0.6, name
        size = layer["kernel"][0].size
        assert [(kernel == 0).sum() for kernel in pruned[name]["kernel"]] == [size - round(0.1 * size)] * 4
    np.testing.assert_allclose(metrics.sparsity, 0.9, atol=1e-4)


def test_seeds_differ():
    for phase, _ in paper_run(1):
        for layer in phase.values():
            for i in range(4):
                for j in range(i):
                    assert (layer["kernel"][i] != layer["kernel"][j]).any()


@pytest.fixture(scope="module")
def small_run(samples):
    """Three seeds in groups of two, four steps per epoch."""
    return train(samples, SMALL, None, epochs=8, prune_epochs=2, num_seeds=3, batch_size=16)


def test_progress_of_a_run(small_run):
    assert [(p.phase, p.epoch, p.num_epochs) for p in small_run] == [
        ("init", 0, 0), *(("unpruned", epoch, 8) for epoch in range(1, 9)), ("pruned", 1, 2), ("pruned", 2, 2),
    ]  # fmt: skip
    for progress in small_run:
        # Everything that was handed out is still there after the run.
        assert all(leaf.shape[0] == 3 for leaf in jax.tree.leaves(jax.device_get(progress.params)))
        assert all(isinstance(leaf, np.ndarray) and leaf.shape == (3,) for leaf in progress.metrics)


def test_pruning_goes_on_from_the_trained_weights(small_run):
    """After four steps of pruning what is left lies within four steps of the trained weights, far from the initial."""
    init, trained, pruned = (small_run[i].params for i in (0, 8, 9))
    for name, layer in pruned.items():
        kept = np.asarray(layer["kernel"] != 0)
        assert kept.mean() == pytest.approx(1 - (0.9 - 0.4 * 0.5**3), abs=0.02)  # the mask after step 4 of 8
        moved, learned = (np.abs(layer["kernel"] - other[name]["kernel"])[kept].max() for other in (trained, init))
        assert moved < 0.0042 < 0.012 < learned


def test_phases_of_no_epochs_are_left_out(samples):
    assert [p.phase for p in train(samples, SMALL, [0], epochs=0, prune_epochs=0)] == ["init"]
    assert [p.phase for p in train(samples, SMALL, [0], epochs=0, prune_epochs=1)] == ["init", "pruned"]


@pytest.fixture
def compilations():
    """Counts the programs that XLA compiles."""
    names = []

    def listen(event, duration, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(kwargs.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.fixture
def traces(monkeypatch):
    """Whether each traced epoch prunes; no test before has left a program."""
    found = []

    def traced(*arguments):
        found.append(arguments[-1] is not None)
        return training.train_epoch(*arguments)

    monkeypatch.setattr(sweep, "train_epoch", traced)
    sweep._run_epoch.clear_cache()
    return found


def test_runs_share_one_program_per_phase(samples, compilations, traces):
    """Neither epochs nor sparsities, seed, the data's values or the mesh's identity are part of a program."""
    others = samples._replace(x_train=1 - samples.x_train, y_train=3 - samples.y_train)
    settings = {"model": SMALL, "train": TrainConfig(num_seeds=4, epochs=3), "prune": PruneConfig(epochs=3)}
    first = [*sweep.train_seeds(samples, mesh=sweep.seed_mesh(), **settings)]
    assert traces == [False, True]
    assert compilations.count("jit(_run_epoch)") == sweep._run_epoch._cache_size() == 2
    compilations.clear()
    settings = {
        "model": ModelConfig(widths=tuple(SMALL.widths)),
        "train": TrainConfig(num_seeds=4, epochs=1, seed=5),
        "prune": PruneConfig(epochs=5, initial_sparsity=0.1, final_sparsity=0.7),
    }
    second = [*sweep.train_seeds(others, mesh=sweep.seed_mesh(jax.devices()), **settings)]
    assert (len(first), len(second)) == (7, 7)
    assert (second[-1].metrics.sparsity < first[-1].metrics.sparsity).all()
    assert traces == [False, True]
    assert compilations == []


def test_uneven_seeds_on_devices(samples, small_run, compilations, traces):
    """Three seeds in groups of two on four devices: the padding is dropped and changes nothing."""
    mine = train(samples, SMALL, [2, 0, 1], num_devices=4, epochs=8, prune_epochs=2, batch_size=16)
    assert traces == [False, True]
    assert compilations.count("jit(_run_epoch)") == 2
    for one, other in zip(small_run, mine, strict=True):
        mine, yours = (jax.tree.leaves((epoch.params, epoch.metrics)) for epoch in (one, other))
        for a, b in zip(mine, yours, strict=True):
            np.testing.assert_array_equal(np.asarray(a)[[2, 0, 1]], b)


def small_settings(**train):
    return {
        "model": SMALL,
        "train": TrainConfig(num_seeds=3, seeds_per_group=GROUP, **train),
        "prune": PruneConfig(epochs=2),
    }


def on_host(run):
    return jax.device_get([(epoch.phase, epoch.epoch, epoch.params, epoch.metrics) for epoch in run])


def test_going_on_after_any_epoch_gives_the_same_bits(samples):
    settings = small_settings(epochs=2, batch_size=16)
    whole, saved = [], []
    for epoch in sweep.train_seeds(samples, **settings):
        whole.append(jax.device_get((epoch.phase, epoch.epoch, epoch.params, epoch.metrics)))
        saved.append(jax.device_get(epoch.states))
    for index in range(1, len(whole)):
        resume = sweep.ResumePoint(*whole[index][:2], saved[index])
        networks = [Network(seed) for seed in range(3)]
        shapes = sweep.states_like(SMALL, settings["train"], networks, pruned=resume.phase == "pruned")
        assert jax.tree.map(lambda a: (a.shape[1:], a.dtype), shapes) == jax.tree.map(
            lambda a: (a.shape[1:], a.dtype), resume.states
        )
        rest = on_host(sweep.train_seeds(samples, **settings, resume=resume))
        assert [epoch[:2] for epoch in rest] == [epoch[:2] for epoch in whole[index + 1 :]]
        for one, other in zip(jax.tree.leaves(rest), jax.tree.leaves(whole[index + 1 :]), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_loss_that_is_not_finite_is_told_and_touches_no_other_seed(samples):
    """Seed 1, which shares a group with seed 0, gets a weight that is not a number after the first epoch."""
    settings = small_settings(epochs=3, batch_size=16)
    run = sweep.train_seeds(samples, **settings)
    next(run)
    first = next(run)
    states = jax.device_get(first.states)
    run.close()
    sound = on_host(sweep.train_seeds(samples, **settings, resume=sweep.ResumePoint("unpruned", 1, states)))
    states.params["layer_00"]["kernel"] = states.params["layer_00"]["kernel"].copy()
    states.params["layer_00"]["kernel"][1, 0, 0] = np.nan
    broken = on_host(sweep.train_seeds(samples, **settings, resume=sweep.ResumePoint("unpruned", 1, states)))
    for (_, _, *one), (_, _, *other) in zip(sound, broken, strict=True):
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(a[[0, 2]], b[[0, 2]])
    assert [epoch[3].nonfinite_step.tolist() for epoch in sound] == [[0, 0, 0]] * 4
    assert [epoch[3].nonfinite_step.tolist() for epoch in broken] == [[0, 1, 0]] * 4


def test_the_step_at_which_a_loss_is_lost(samples):
    """Step 3 of the samples' own order meets a pixel that is infinite; the loss of steps 1 and 2 is sound."""
    pixels = samples.x_train.at[2 * 16 + 5, 0].set(jnp.inf)
    settings = small_settings(epochs=1, batch_size=16, reshuffle=False)
    epochs = list(sweep.train_seeds(samples._replace(x_train=pixels), **settings))
    assert epochs[1].metrics.nonfinite_step.tolist() == [3, 3, 3]


def compiled_epoch(samples, num_devices):
    """The text of the compiled program of a pruning epoch, one seed per device."""
    mesh = sweep.seed_mesh(jax.devices()[:num_devices])
    sharding = jax.NamedSharding(mesh, jax.P("seed"))
    recipe = training.training_of(SMALL, TrainConfig())
    plan = pruning.plan_masks(PruneConfig(epochs=1), models.kernel_sizes(SMALL), steps_per_epoch=1)
    keys = jax.random.split(jax.random.key(0), num_devices)
    values = values_of([Network(0)] * num_devices, {"model": SMALL, "train": TrainConfig()})
    first, counts = (np.stack([own] * num_devices) for own in (plan.first, plan.epochs[0].counts))
    states = sweep._start(sweep._init(keys, values, recipe), values, first, recipe, mesh)
    states, own = jax.device_put((states, (keys, values, counts)), sharding)
    shared = jax.device_put((samples, plan.epochs[0][:2]), jax.NamedSharding(mesh, jax.P()))
    program = sweep._run_epoch.lower(states, own, shared, recipe, 1, mesh)
    return program.compile().as_text()


COLLECTIVES = re.compile(r"\b(all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter)\b")


def test_devices_do_not_communicate(samples):
    text = compiled_epoch(samples, 4)
    assert "num_partitions=4" in text
    assert not COLLECTIVES.findall(text)


def test_the_search_for_collectives_finds_one(samples):
    """That the test above can fail."""
    mesh = sweep.seed_mesh(jax.devices()[:4])
    x = jax.device_put(jnp.arange(8.0), jax.NamedSharding(mesh, jax.P("seed")))
    assert COLLECTIVES.findall(jax.jit(jnp.sum).lower(x).compile().as_text())


def test_mesh_over_all_devices():
    mesh = sweep.seed_mesh()
    assert mesh.size == len(jax.devices()) == 4
    assert mesh.axis_names == ("seed",)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ((13, 8, 4), r"model.widths must begin with the data's 12 inputs, got \(13, 8, 4\)"),
        ((12, 8, 3), r"model.widths must end with at least the data's 4 classes, got \(12, 8, 3\)"),
    ],
)
def test_data_that_do_not_fit(samples, widths, message):
    with pytest.raises(ValueError, match=message):
        train(samples, ModelConfig(widths=widths), [0])


def test_more_outputs_than_classes_are_fine(samples):
    sweep.check_samples(samples, ModelConfig(widths=(12, 5)))


def test_a_batch_larger_than_the_data_is_all_of_them(samples):
    """Up to the largest that a config takes, and so for the steps between two masks."""
    runs = []
    for batch_size, frequency in ((50, 2), (2**31 - 1, 2**31 - 1)):
        train = TrainConfig(num_seeds=1, epochs=1, batch_size=batch_size)
        settings = {"model": SMALL, "train": train, "prune": PruneConfig(epochs=1, frequency=frequency)}
        runs.append([(p.params, p.metrics) for p in sweep.train_seeds(samples, **settings)])
    jax.tree.map(np.testing.assert_array_equal, *runs)


def test_classes_that_only_the_test_samples_have_count(samples):
    """Their loss would be NaN."""
    more = samples._replace(y_test=samples.y_test.at[3].set(4))
    with pytest.raises(
        ValueError, match=r"model.widths must end with at least the data's 5 classes, got \(12, 8, 6, 4\)"
    ):
        train(more, SMALL, [0])


def test_networks_train_under_x64_too():
    """Counts and sums keep their types; data and networks stay float32, as they are given."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 6)).astype(np.float32), np.arange(40, dtype=np.int32) % 3
    settings = {
        "model": ModelConfig(widths=(6, 5, 3)),
        "train": TrainConfig(num_seeds=2, epochs=1, batch_size=16),
        "prune": PruneConfig(epochs=1),
    }
    data = training.Samples(*(jnp.asarray(part) for part in (x, y, x, y)))
    expected = list(sweep.train_seeds(data, **settings))[-1]
    with jax.enable_x64(True):
        found = list(sweep.train_seeds(data, **settings))[-1]
    for one, other in zip(jax.tree.leaves(found.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
