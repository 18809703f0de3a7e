"""Masks of sub-tasks: the sampler and a step against references, limits of the penalty, networks side by side."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, special, stats
from sklearn.metrics import roc_auc_score

import modularity_jax as mj
from modularity_jax.data.planted import fused, modules
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.probes import masks
from modularity_jax.probes.mask_trees import drawn_masks
from modularity_jax.probes.masks import cross_entropy
from modularity_jax.runs.compilation import CompileWatch
from tests.probes import slow

WIDTHS = (8, 12, 12, 4)


def forward(params, x):
    """Logits of a ReLU perceptron."""
    layers = [params[name] for name in sorted(params)]
    for layer in layers[:-1]:
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
    return x @ layers[-1]["kernel"] + layers[-1]["bias"][None]


def kernels(params):
    return [params[name]["kernel"] for name in sorted(params)]


def joined(arrays):
    return np.concatenate([np.ravel(array) for array in arrays])


def test_a_draw_is_0_or_1_and_its_gradient_that_of_the_mean_of_s():
    logits, count = jnp.asarray([-3.0, -0.5, 0.0, 1.0, 2.0]), 20_000
    many = {"a": jnp.tile(logits, (count, 1)), "b": jnp.zeros(3)}

    def total(many):
        drawn = drawn_masks(many, jax.random.key(0))
        return drawn["a"].sum(), drawn["a"]

    gradients, drawn = jax.jit(jax.grad(total, has_aux=True))(many)
    assert set(np.unique(drawn)) == {0, 1}
    chance = special.expit(logits)
    np.testing.assert_array_less(abs(drawn.mean(0) - chance), 4 * np.sqrt(chance * (1 - chance) / count))
    found = np.asarray(gradients["a"], np.float64)
    error = found.std(axis=0) / np.sqrt(count)
    np.testing.assert_array_less(abs(found.mean(axis=0) - [slope(level) for level in logits.tolist()]), 4 * error)
    assert abs(found.mean(axis=0)[2] - 1 / 6) < 4 * error[2] < abs(1 / 4 - 1 / 6)  # not the slope of the chance


def slope(level):
    """Of the mean of s = sigmoid(level + g), by central differences; g is logistic."""

    def mean(level):
        return integrate.quad(lambda g: special.expit(level + g) * stats.logistic.pdf(g), -40, 40, epsabs=1e-12)[0]

    return (mean(level + 1e-3) - mean(level - 1e-3)) / 2e-3


def teachers(seed=0):
    """Two random networks side by side, and samples of what each of them answers: x and y [2, n, ...]."""
    stream = np.random.default_rng(seed)
    two = [slow.random_params(own, WIDTHS, scale=1.4) for own in (seed, seed + 1)]
    kernels = fused(*([layer["kernel"] for layer in own.values()] for own in two), jax.random.key(0), 0.0)
    params = {
        name: {"kernel": kernel, "bias": jnp.zeros(kernel.shape[1])}
        for name, kernel in zip(two[0], kernels, strict=True)
    }
    x = stream.normal(size=(500, 2 * WIDTHS[0])).astype(np.float32)
    parts = np.asarray(forward(params, x)).reshape(-1, 2, WIDTHS[-1])
    y = parts.argmax(axis=2).T + WIDTHS[-1] * np.arange(2)[:, None]
    return params, jnp.stack([x, x]), jnp.asarray(y, jnp.int32)


def of_its_network(logits, y):
    """The logits [B, 4] of the network that has class y [B], and that class within it."""
    parts = logits.reshape(len(y), 2, WIDTHS[-1])
    return jnp.take_along_axis(parts, (y // WIDTHS[-1])[:, None, None], axis=1)[:, 0], y % WIDTHS[-1]


def loss(logits, y):
    return cross_entropy(*of_its_network(logits, y))


def right(logits, y):
    own, classes = of_its_network(logits, y)
    return (own.argmax(axis=-1) == classes).astype(jnp.float32)


HOW = {"loss": loss, "batch_size": 64, "learning_rate": 2e-2}


@pytest.fixture(scope="module")
def side_by_side():
    """Two networks, samples, and masks for what each of them says."""
    params, x, y = teachers()
    return params, x, y, mj.train_masks(forward, params, x, y, jax.random.key(1), alpha=1e-3, num_steps=300, **HOW)


def test_networks_side_by_side_are_told_apart(side_by_side):
    params, x, y, logits = side_by_side
    assert jax.tree.map(np.shape, logits["layer_00"]) == {"kernel": (2, 16, 24), "bias": None}
    for network in (0, 1):
        truth = [np.outer(*(modules([size], 2) == network for size in leaf.shape)) for leaf in kernels(params)]
        assert roc_auc_score(joined(truth), joined(leaf[network] for leaf in kernels(logits))) > 0.99
    found = mj.mask_matrix(forward, params, logits, x, y, metric=right)
    assert found.kept.diagonal().min() > 0.8
    assert max(found.inverse.diagonal()) < 0.2
    np.testing.assert_allclose(found.inverse[[0, 1], [1, 0]], 1)  # nothing of the other is lost
    truth = modules([2 * width for width in WIDTHS], 2)
    np.testing.assert_array_equal(mj.unit_labels(logits, params), truth)
    shares = mj.cluster_shares(logits, params, truth, num_clusters=2)
    assert shares.diagonal().min() > 0.7
    np.testing.assert_array_equal(shares[[0, 1], [1, 0]], 0)


def test_steps_against_optax(side_by_side):
    """The penalty, the parts of a batch, the bound of the gradient and Adam, of the second sub-task.

    The loss is so large that some gradients are beyond the bound, and beside the penalty, whose own is .2.
    """
    params, x, y, _ = side_by_side
    alpha, size, parts, sub_task, norms = 0.05, 8, 2, 1, []

    def large(logits, y):
        return 25 * loss(logits, y)

    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))

    def objective(logits, key):
        batch_key, *own = jax.random.split(key, 1 + parts)
        drawn = jax.random.randint(batch_key, (parts, size // parts), 0, x.shape[1])
        losses = [
            large(forward(times(params, drawn_masks(logits, one)), x[sub_task][places]), y[sub_task][places])
            for one, places in zip(own, drawn, strict=True)
        ]
        return jnp.concatenate(losses).mean() + alpha / size * sum(leaf.sum() for leaf in kernels(logits))

    def times(params, drawn):
        return {name: own | {"kernel": own["kernel"] * drawn[name]["kernel"]} for name, own in params.items()}

    logits = {name: {"kernel": jnp.full_like(own["kernel"], 2.0)} for name, own in params.items()}
    state, key = rule.init(logits), jax.random.fold_in(jax.random.key(3), sub_task)
    gradient = jax.jit(jax.grad(objective))
    for step in range(6):
        gradients = gradient(logits, jax.random.fold_in(key, step))
        norms.append(optax.tree.norm(gradients))
        updates, state = rule.update(gradients, state)
        logits = optax.apply_updates(logits, updates)
    found = mj.train_masks(
        forward,
        params,
        x,
        y,
        jax.random.key(3),
        alpha=alpha,
        num_steps=6,
        batch_size=size,
        num_samples=parts,
        loss=large,
    )
    assert min(norms) < 0.9 < 1.1 < max(norms)
    for own, want in zip(kernels(found), kernels(logits), strict=True):
        np.testing.assert_allclose(own[sub_task], want, atol=2e-5)


def test_what_does_not_matter_stays_without_a_penalty_and_leaves_at_full_rate_with_one():
    params = {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}
    data = np.zeros((1, 5, 3), np.float32), np.zeros((1, 5), int)
    train = functools.partial(mj.train_masks, lambda p, x: x @ p["kernel"], params, *data, jax.random.key(0))
    found = {alpha: train(alpha=alpha, num_steps=50, learning_rate=0.05)["kernel"] for alpha in (0.0, 1e-2, 1e3)}
    np.testing.assert_array_equal(found[0.0], 2)
    np.testing.assert_allclose(found[1e-2], 2 - 0.05 * 50, rtol=1e-3)
    np.testing.assert_allclose(found[1e3], 2 - 0.05 * 50, rtol=1e-3)


def test_the_penalty_decides_how_much_is_kept(side_by_side):
    params, x, y, _ = side_by_side
    alphas = jnp.asarray([0.0, 1e-2, 0.1, 100.0])

    @jax.jit
    @jax.vmap
    def shares(alpha):
        found = mj.train_masks(forward, params, x[:1], y[:1], jax.random.key(1), alpha=alpha, num_steps=150, **HOW)
        own = [leaf[0] > 0 for leaf in kernels(found)]
        return jnp.stack([leaf.mean() for leaf in own])

    kept = shares(alphas)
    assert (np.diff(kept, axis=0) < 0).all()
    np.testing.assert_array_equal(kept[-1], 0)
    assert kept[0].min() > 0.9


@pytest.mark.bits
def test_a_mask_depends_on_no_other_and_on_no_device(side_by_side):
    params, x, y, _ = side_by_side
    train = functools.partial(mj.train_masks, forward, alpha=1e-3, num_steps=20, **HOW)
    logits = train(params, x, y, jax.random.key(1))
    alone = train(params, x[:1], y[:1], jax.random.key(1))
    networks = jax.tree.map(lambda leaf: jnp.stack([2 * leaf, leaf]), params)
    keys = jnp.stack([jax.random.key(0), jax.random.key(1)])
    several = train(networks, x, y, keys, mesh=seed_mesh())
    for one, both, want in zip(*map(kernels, (alone, several, logits)), strict=True):
        np.testing.assert_array_equal(one, want[:1])
        np.testing.assert_array_equal(both[1], want)
        assert (both[0] != want).any(axis=(1, 2)).all()


def test_side_by_side_as_on_an_accelerator(side_by_side, monkeypatch):
    params, x, y, _ = side_by_side
    how = {"alpha": 1e-3, "num_steps": 20, **HOW}
    want = mj.train_masks(forward, params, x, y, jax.random.key(1), **how)
    monkeypatch.setattr(masks, "on_cpu", lambda: False)
    monkeypatch.setattr(masks, "networks_at_once", lambda *_: 2)

    def beside(params, x):  # another function, so that it is traced anew
        return forward(params, x)

    train = jax.jit(lambda params, words: mj.train_masks(beside, params, x, y, jax.random.wrap_key_data(words), **how))
    words = jax.random.key_data(jax.random.key(1))
    for own, other in zip(kernels(train(params, words)), kernels(want), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-3)
    exported = jax.export.export(train, platforms=["cuda", "tpu"])(params, words)
    assert exported.platforms == ("cuda", "tpu")


def test_all_numbers_share_a_program():
    params, x, y = teachers(2)
    how = {"loss": loss, "batch_size": 8}
    names = []
    for alpha, steps, rate in ((1e-2, 2, 0.1), (0.0, 5, 1e-3), (2, 1, 0)):
        with CompileWatch() as watch:
            key = jax.random.key(steps)
            mj.train_masks(forward, params, x, y, key, alpha=alpha, num_steps=steps, learning_rate=rate, **how)
        names.append([program.name for program in watch.programs])
    assert names[0].count("_train") == 1
    assert names[1:] == [[], []]
