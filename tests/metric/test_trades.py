"""The controls `degrees` and `strengths`: what they keep, and that the rest is drawn as it should be."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import modularity_jax as mj
from modularity_jax.metric import trades
from modularity_jax.metric.stocks import stock
from modularity_jax.metric.strengths import fit, log_odds, with_strengths
from tests.conftest import OPTIMISED
from tests.metric import nets

METHODS = ("degrees", "strengths")


def uneven_weights(seed, widths, zeros):
    """Magnitudes of Gaussian weights between neurons of uneven strengths, the least of each kernel pruned."""
    rng = np.random.default_rng(seed)
    kernels = []
    for rows, columns in itertools.pairwise(widths):
        scale = np.exp(rng.normal(0, 0.5, (rows, 1)) + rng.normal(0, 0.5, (1, columns)))
        kernel = scale * np.abs(rng.normal(size=(rows, columns)))
        kernels.append(np.where(kernel >= np.quantile(kernel, zeros), kernel, 0).astype(np.float32))
    return kernels


@functools.cache
def drawn(method, zeros):
    """An uneven net's kernels and 20 controls of each."""
    before = uneven_weights(0, (60, 50, 70), zeros)
    graph = mj.LayeredGraph.from_weights(before)
    draw = jax.jit(jax.vmap(lambda key: mj.shuffle(graph, key, method=method)))
    return list(zip(before, map(np.asarray, draw(nets.keys(1, 20)).affinities), strict=True))


@pytest.mark.parametrize("zeros", [0.8, 0.5, 0.0])
@pytest.mark.parametrize("method", METHODS)
def test_degrees_stay_on_both_sides(method, zeros):
    for before, after in drawn(method, zeros):
        for axis in (0, 1):
            expected = np.broadcast_to((before > 0).sum(axis=axis), (20, before.shape[1 - axis]))
            np.testing.assert_array_equal((after > 0).sum(axis=axis + 1), expected)


@pytest.mark.parametrize("zeros", [0.8, 0.5, 0.0])
def test_strengths_stay_on_both_sides(zeros):
    for before, after in drawn("strengths", zeros):
        for axis in (0, 1):
            expected = np.broadcast_to(before.sum(axis=axis), (20, before.shape[1 - axis]))
            np.testing.assert_allclose(after.sum(axis=axis + 1), expected, rtol=0.01)


@pytest.mark.parametrize("zeros", [0.8, 0.0])
def test_weights_keep_their_distribution_nearly(zeros):
    for before, after in drawn("strengths", zeros):
        old, new = before[before > 0], after[0][after[0] > 0]
        assert scipy.stats.ks_2samp(old, new).statistic < 0.06
        assert new.min() >= 0.998 * old.min()


def test_few_more_places_stay_than_after_four_times_the_rounds(monkeypatch):
    made = stock(mj.LayeredGraph.from_weights(uneven_weights(2, (60, 50), 0.8)), "degrees")
    made = jax.tree.map(jnp.asarray, made)
    size = int(made.num_values[0])

    def share_that_stays(num_rounds):
        monkeypatch.setattr(trades, "NUM_ROUNDS", num_rounds)
        draw = jax.jit(jax.vmap(lambda key: trades.traded_places(made.trades, made.num_values, key)))
        return np.isin(draw(nets.keys(3, 50))[:, :size], made.values.cell[:size]).mean()

    assert abs(share_that_stays(trades.NUM_ROUNDS) - share_that_stays(4 * trades.NUM_ROUNDS)) < 0.01


def matrices(rows, columns):
    """All 0-1 matrices with these sums of rows and columns, [X, a, b]."""
    kinds = [[r for r in itertools.product((0, 1), repeat=len(columns)) if sum(r) == n] for n in rows]
    made = np.array(list(itertools.product(*kinds)))
    return made[(made.sum(axis=1) == columns).all(axis=1)]


def counts_of(places, known):
    """How often each of the known matrices was drawn; places [draws, values]."""
    codes = (1 << np.asarray(places, np.int64)).sum(axis=1)
    expected = known.reshape(len(known), -1) @ (1 << np.arange(known[0].size, dtype=np.int64))
    assert np.isin(codes, expected).all()
    return (codes[:, None] == expected[None, :]).sum(axis=0)


@pytest.mark.parametrize(("rows", "columns"), [((2, 2, 2, 2), (2, 2, 2, 2)), ((3, 1, 2, 1), (2, 1, 2, 1, 1))])
def test_places_with_these_degrees_are_equally_likely(rows, columns):
    known = matrices(rows, columns)
    graph = mj.LayeredGraph.from_weights([known[7].astype(float)])
    draw = jax.jit(jax.vmap(lambda key: mj.shuffle(graph, key, method="degrees")), compiler_options=OPTIMISED)
    after = draw(nets.keys(4, 8_000)).affinities[0]
    places = np.nonzero(np.asarray(after).reshape(8_000, -1))[1].reshape(8_000, -1)
    nets.assert_counts(counts_of(places, known), 8_000 / len(known))


def test_places_are_drawn_by_the_odds_of_the_model():
    known = matrices((2, 2, 2, 2), (2, 2, 2, 2))
    made = stock(mj.LayeredGraph.from_weights([known[7].astype(float)]), "strengths")
    rows, columns = np.array([-0.5, 0, 0.5, 1]), np.array([-0.25, 0, 0.25, 1])
    of_values = made.values.cell // 4
    made = jax.tree.map(jnp.asarray, made._replace(trades=made.trades._replace(effects=(rows[of_values], columns))))
    draw = jax.jit(
        jax.vmap(lambda key: trades.traded_places(made.trades, made.num_values, key)), compiler_options=OPTIMISED
    )
    odds = (known * np.asarray(log_odds(rows[:, None] + columns[None, :]))).sum(axis=(1, 2))
    share = np.exp(odds - odds.max())
    assert share.max() > 10 * share.min()
    nets.assert_counts(counts_of(draw(nets.keys(5, 8_000))[:, :8], known), 8_000 * share / share.sum())


def test_a_rows_weights_come_to_its_places_in_any_order():
    graph = mj.LayeredGraph.from_weights([np.array([[1.0, 2, 3], [4, 5, 6]])])
    draw = jax.jit(jax.vmap(lambda key: mj.shuffle(graph, key, method="degrees")), compiler_options=OPTIMISED)
    after = draw(nets.keys(6, 8_000)).affinities[0]
    seen = np.unique(np.asarray(after).astype(int).reshape(-1, 6) @ 7 ** np.arange(6), return_counts=True)[1]
    assert seen.size == 36
    nets.assert_counts(seen, 8_000 / 36)


def test_residuals_of_a_model_give_the_weights_back():
    kernel = uneven_weights(7, (40, 30), 0.7)[0]
    model, residuals = jax.tree.map(jnp.asarray, fit(np, kernel))
    np.testing.assert_allclose(with_strengths(model, residuals), kernel, rtol=1e-4)
    # Of weights that the model is true of, residuals are exponential.
    assert scipy.stats.kstest(np.asarray(residuals)[kernel > 0], "expon").pvalue > 0.01
    again = fit(jnp, jnp.asarray(kernel))[1]
    np.testing.assert_allclose(again, residuals, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_the_graph_itself_is_clustered_as_ever(method):
    graph = mj.LayeredGraph.from_weights(uneven_weights(8, (12, 10), 0.5))
    tests = [
        mj.shuffle_test(graph, jax.random.key(9), num_clusters=3, num_shuffles=5, method=m, refine=False)
        for m in (method, "layer")
    ]
    assert tests[0].observed == tests[1].observed
    np.testing.assert_array_equal(tests[0].clustering.labels, tests[1].clustering.labels)
    assert not np.isin(tests[0].controls, tests[1].controls).any()


def test_controls_do_not_depend_on_the_devices():
    graph = mj.LayeredGraph.from_weights(uneven_weights(10, (12, 10), 0.5))
    settings = {"num_clusters": 3, "num_shuffles": 7, "method": "strengths", "refine": False}
    alone = mj.shuffle_test(graph, jax.random.key(11), **settings)
    shared = mj.shuffle_test(graph, jax.random.key(11), mesh=jax.make_mesh((4,), ("devices",)), **settings)
    np.testing.assert_array_equal(alone.controls, shared.controls)


def test_a_neuron_whose_only_weight_is_far_too_strong_for_its_places():
    """Strengths that no weights at the new places have end in numbers all the same."""
    kernel = np.diag(np.array([1e-20, 1, 1e3, 1e12], np.float32))
    drawn = jax.vmap(lambda key: mj.shuffle(mj.LayeredGraph.from_weights([kernel]), key, method="strengths"))
    after = np.asarray(drawn(nets.keys(12, 20)).affinities[0])
    assert np.isfinite(after).all()
    assert ((after > 0).sum(axis=1) == 1).all()
    assert ((after > 0).sum(axis=2) == 1).all()
