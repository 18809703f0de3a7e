"""Graphs of activations: squared correlations as SciPy has them, and what halves of the samples leave of noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

import modularity_jax as mj
from modularity_jax.graphs import activations as made_of

WIDTHS = (9, 4, 7)
COUNT, SIZE = 40, sum(WIDTHS)
GROUP = np.repeat(np.arange(3), WIDTHS)


def samples(seed, count=COUNT, size=SIZE):
    """ReLU units that share a cause: many ties at 0; unit 3 is silent, 5 is whole numbers, 6 is 4 turned around."""
    rng = np.random.default_rng(seed)
    x = np.maximum(rng.normal(size=(count, 1)) * rng.normal(size=size) + rng.normal(size=(count, size)), 0)
    x[:, 3], x[:, 5], x[:, 6] = 0.1, np.round(2 * x[:, 5]), -x[:, 4]
    return x.astype(np.float32)


def correlations(x, kind):
    """[N, N] in doubles, 0 where a unit is constant."""
    alive = np.ptp(x, axis=0) > 0
    found = np.zeros((x.shape[1],) * 2)
    values = x[:, alive].astype(float)
    values = scipy.stats.rankdata(values, axis=0) if kind == "ranks" else values
    matrix = scipy.stats.spearmanr(values).statistic if kind == "spearman" else np.corrcoef(values, rowvar=False)
    found[np.ix_(alive, alive)] = matrix
    np.fill_diagonal(found, 0)
    return found


@pytest.mark.parametrize("kind", ["spearman", "pearson"])
@pytest.mark.parametrize("count", [3, COUNT, 41])
def test_edges_are_squared_correlations(kind, count):
    x = samples(0, count)
    found = mj.activation_graph(x, correlation=kind)
    np.testing.assert_allclose(found.affinity, correlations(x, kind) ** 2, atol=1e-5)
    np.testing.assert_array_equal(found.affinity, np.transpose(found.affinity))
    assert (np.diag(found.affinity) == 0).all()
    assert found.widths == (SIZE,)
    constant = np.ptp(x, axis=0) == 0
    assert constant[3]
    np.testing.assert_array_equal(found.connected(), ~constant)


def test_many_samples_lose_no_precision():
    rng = np.random.default_rng(1)
    x = (3 * rng.normal(size=(5000, 1)) + rng.normal(size=(5000, 12))).astype(np.float32)
    x[:, :6] = np.round(x[:, :6])
    for kind in ("spearman", "pearson"):
        found = mj.activation_graph(x, correlation=kind).affinity
        np.testing.assert_allclose(found, correlations(x, kind) ** 2, atol=1e-5)


@pytest.mark.parametrize("between_layers", [True, False])
@pytest.mark.parametrize("kind", ["spearman", "pearson"])
def test_cross_validated_edges_are_products_over_even_and_odd_samples(kind, between_layers):
    x = samples(2, 41)
    layers = np.split(x, np.cumsum(WIDTHS)[:-1], axis=1)
    found = mj.activation_graph(layers, correlation=kind, cross_validated=True, between_layers=between_layers)
    expected = np.maximum(correlations(x[0::2], kind) * correlations(x[1::2], kind), 0)
    kept = between_layers | (GROUP[:, None] == GROUP[None, :])
    np.testing.assert_allclose(found.affinity, expected * kept, atol=1e-5)
    assert found.widths == WIDTHS
    assert 0.1 < (expected[~np.eye(SIZE, dtype=bool)] == 0).mean() < 0.6


def test_layers_are_groups_of_the_same_graph():
    x = samples(3)
    layers = np.split(x, np.cumsum(WIDTHS)[:-1], axis=1)
    found, whole = mj.activation_graph(layers), mj.activation_graph(x).affinity
    np.testing.assert_array_equal(found.affinity, whole)
    apart = mj.activation_graph(layers, between_layers=False)
    np.testing.assert_allclose(apart.affinity, whole * (GROUP[:, None] == GROUP[None, :]), atol=1e-6)
    np.testing.assert_array_equal(found.degrees() > 0, apart.connected())


def test_what_noise_leaves():
    """1/n of all samples; of two halves .64/n, half of what two correlations' magnitudes give."""
    count, size = 60, 400
    x = np.random.default_rng(4).normal(size=(count, size)).astype(np.float32)
    pairs = np.triu_indices(size, 1)
    plain, crossed = (
        np.asarray(mj.activation_graph(x, correlation="pearson", cross_validated=halves).affinity)[pairs]
        for halves in (False, True)
    )
    # The square of a correlation of m normal samples is Beta(1/2, m/2 - 1).
    half = count / 2
    magnitude = scipy.special.gamma(half / 2 - 0.5) / scipy.special.gamma(half / 2) / np.sqrt(np.pi)
    assert magnitude**2 / 2 == pytest.approx(0.64 / count, rel=0.05)
    # Pairs share units, but their correlations are independent where units are.
    error = [own.std() / np.sqrt(own.size) for own in (plain, crossed)]
    assert abs(plain.mean() - 1 / (count - 1)) < 4 * error[0]
    assert abs(crossed.mean() - magnitude**2 / 2) < 4 * error[1]
    assert abs((crossed == 0).mean() - 0.5) < 4 * 0.5 / np.sqrt(crossed.size)


def test_halves_give_the_square_of_the_true_correlation():
    rho, count, pairs = 0.5, 60, 4000
    rng = np.random.default_rng(5)
    first = rng.normal(size=(count, pairs))
    second = rho * first + np.sqrt(1 - rho**2) * rng.normal(size=(count, pairs))
    draw = jax.jit(
        jax.vmap(lambda x: mj.activation_graph(x, correlation="pearson", cross_validated=True).affinity[0, 1])
    )
    found = np.asarray(draw(np.stack([first, second], axis=2).transpose(1, 0, 2).astype(np.float32)))
    # A correlation of n samples is rho (1 - (1 - rho^2) / 2n) on average.
    bias = rho**2 * (1 - rho**2) / (count / 2)
    assert abs(found.mean() - rho**2 + bias) < 4 * found.std() / np.sqrt(pairs)
    assert abs(found.mean() - rho**2 - (1 - rho**2) ** 2 / count) > 4 * found.std() / np.sqrt(pairs)


def test_in_parts_of_units_and_of_edges(monkeypatch):
    monkeypatch.setattr(made_of, "MAX_RANKED", 7 * 37)
    monkeypatch.setattr(made_of, "MAX_EDGES", 8 * 19)
    x = samples(6, 37, 19)  # a shape of which there is no program yet
    found = mj.activation_graph([x[:, :11], x[:, 11:]], between_layers=True)
    np.testing.assert_allclose(found.affinity, correlations(x, "spearman") ** 2, atol=1e-5)


def test_what_ranks_do_not_see():
    x = samples(7)
    found = mj.activation_graph(x).affinity
    order = np.random.default_rng(7).permutation(COUNT)
    for other in (x**3, 1e30 * x, (8 * x).astype(np.float64) - 5):
        np.testing.assert_array_equal(mj.activation_graph(other).affinity, found)
    np.testing.assert_allclose(mj.activation_graph(x[order]).affinity, found, atol=1e-6)


@pytest.mark.parametrize("change", [lambda x: 1e30 * x, lambda x: 1e-30 * x + 1e-30, lambda x: x + 1000])
def test_what_values_do_not_see(change):
    x = samples(8)
    expected = correlations(np.float32(change(x)), "pearson") ** 2
    np.testing.assert_allclose(mj.activation_graph(change(x), correlation="pearson").affinity, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.int8, np.uint16, bool, jnp.bfloat16])
def test_numbers_of_any_kind(dtype):
    x = np.round(3 * samples(9)).clip(0, 9).astype(dtype)
    found = mj.activation_graph(x).affinity
    np.testing.assert_allclose(found, correlations(x.astype(float), "spearman") ** 2, atol=1e-5)
    assert found.dtype == np.float32


def test_under_transformations():
    x = np.stack([samples(10), samples(11)])
    alone = [mj.activation_graph(own, cross_validated=True) for own in x]
    batched = jax.jit(jax.vmap(lambda own: mj.activation_graph(own, cross_validated=True)))(x)
    np.testing.assert_allclose(batched.affinity, np.stack([graph.affinity for graph in alone]), atol=1e-6)
    slope = jax.grad(lambda own: mj.activation_graph(own, correlation="pearson").affinity.sum())(jnp.asarray(x[0]))
    assert np.isfinite(slope).all()


def test_one_program(caplog):
    x = samples(12, 31)
    with jax.log_compiles():
        graph = mj.activation_graph(x)
    assert sum(record.getMessage().startswith("Compiling ") for record in caplog.records) == 1
    found = mj.cluster(graph, jax.random.key(0), num_clusters=2)
    np.testing.assert_array_equal(np.flatnonzero(np.asarray(found.labels) < 0), [3])


X = np.random.default_rng(0).normal(size=(6, 3))


@pytest.mark.parametrize(
    ("given", "settings", "text"),
    [
        (X[:2], {}, r"activations must have at least 3 samples, got 2"),
        (X[:5], {"cross_validated": True}, r"activations must have at least 6 samples, got 5"),
        (np.where(X > 0, np.nan, X), {}, r"activations must be finite, got \d+ non-finite of 18 values"),
        ([X, np.where(X > 0, np.inf, X)], {}, r"activations\[1\] must be finite, got \d+ non-finite of 18 values"),
        (X[0], {}, r"activations must have shape \[n, units\], got \(3,\)"),
        (X[None], {}, r"activations must have shape \[n, units\], got \(1, 6, 3\)"),
        (X[:, :0], {}, r"activations must have shape \[n, units\], got \(6, 0\)"),
        ([X, X[:, 0]], {}, r"activations\[1\] must have shape \[n, units\], got \(6,\)"),
        (X.tolist(), {}, r"activations\[0\] must have shape \[n, units\], got \(3,\)"),
        ([X, X[:4]], {}, r"activations must have as many samples in each layer, got \[4, 6\]"),
        ([], {}, r"activations must hold at least one layer, got none"),
        ({"a": X}, {}, r"activations must be a sequence, got dict"),
        (X * 1j, {}, r"activations must be real numbers, got complex128"),
        (X, {"correlation": "kendall"}, r"correlation must be one of spearman, pearson, got 'kendall'"),
        (X, {"cross_validated": "no"}, r"cross_validated must be one of True, False, got 'no'"),
        (X, {"between_layers": None}, r"between_layers must be one of True, False, got None"),
    ],
)
def test_bad_input(given, settings, text):
    with pytest.raises(ValueError, match=rf"^{text}"):
        mj.activation_graph(given, **settings)


def test_static_things_are_checked_under_jit():
    with pytest.raises(ValueError, match=r"^activations must have at least 3 samples, got 2"):
        jax.jit(mj.activation_graph)(X[:2])
