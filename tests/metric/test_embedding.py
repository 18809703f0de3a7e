"""Eigenvalues and eigenvectors against SciPy's dense float64 decomposition and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import modularity_jax as mj
from modularity_jax.metric.krylov import DEPTH, EXTRA, leading_eigenpairs
from tests.metric import nets

solve = jax.jit(nets.embed, static_argnames=("num_clusters", "solver"))

SMALL, LARGE = (30, 20, 12, 5), (170, 150, 160, 10)


def layered_variants(widths):
    """Nets of one shape: one component, isolated vertices among them, several components."""
    dense_net = nets.random_net(0, widths, 0.5)
    thin = nets.random_net(1, widths, 2 / widths[1])
    blocks = nets.planted_weights(2, widths, 3, noise=0.0)
    return [dense_net, thin, mj.LayeredGraph.from_weights(blocks)]


def sparse_variants(num_nodes, num_edges):
    """Graphs of one shape: one component, isolated vertices, four components."""
    made = [(0, 1, 0), (1, 1, num_nodes // 10), (2, 4, 3)]
    edges = [nets.random_edges(seed, num_nodes, num_edges, parts, isolated) for seed, parts, isolated in made]
    return [mj.SparseGraph.from_edges(*e, num_nodes=num_nodes) for e in edges]


CASES = {
    "small layered": lambda: layered_variants(SMALL),
    "large layered": lambda: layered_variants(LARGE),
    "small sparse": lambda: sparse_variants(60, 150),
    "large sparse": lambda: sparse_variants(260, 900),
}


def test_cases_lie_on_both_sides_of_the_largest_size_that_auto_solves_whole():
    two, twelve = (DEPTH * (k + EXTRA) for k in (2, 12))
    assert SMALL[1] + SMALL[3] <= two < LARGE[1] + LARGE[3] < twelve
    assert 60 <= two < 260
    assert LARGE[1] + LARGE[3] > DEPTH * (7 + EXTRA)


@pytest.mark.parametrize(
    ("case", "num_clusters", "solver"),
    [
        *[(case, k, "auto") for case in CASES for k in (2, 12)],
        *[(case, 7, "auto") for case in ("large layered", "large sparse")],
        *[(case, 4, solver) for case in CASES for solver in ("eigh", "krylov")],
    ],
)
def test_eigenvalues_agree_with_scipy(case, num_clusters, solver):
    for seed, graph in enumerate(CASES[case]()):
        found = solve(graph, jax.random.key(seed), num_clusters=num_clusters, solver=solver)
        expected = nets.spectrum(nets.dense(graph))[0][:num_clusters]
        np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-4)
        np.testing.assert_allclose(found.lower_bound, num_clusters - expected.sum(), atol=1e-4 * num_clusters)
        assert found.converged
        isolated = np.asarray(graph.degrees()) == 0
        assert (np.asarray(found.points)[isolated] == 0).all()
        assert np.isfinite(found.points).all()


@pytest.mark.parametrize("solver", ["eigh", "krylov"])
@pytest.mark.parametrize("case", CASES)
def test_points_are_eigenvectors(case, solver):
    for graph in CASES[case]():
        found = solve(graph, jax.random.key(0), num_clusters=4, solver=solver)
        degrees = np.asarray(graph.degrees(), float)
        vectors = np.asarray(found.points, float) * np.sqrt(degrees)[:, None]
        np.testing.assert_allclose(vectors.T @ vectors, np.eye(4), atol=1e-4)
        # A u' = lambda D u' for the scaled u' = D^-1/2 u; in the norm of D^-1.
        points = np.asarray(found.points, float)
        residual = nets.dense(graph) @ points - degrees[:, None] * points * np.asarray(found.eigenvalues)
        residual /= np.sqrt(np.where(degrees > 0, degrees, 1))[:, None]
        assert np.linalg.norm(residual, axis=0).max() < 2e-4


@pytest.mark.parametrize("solver", ["eigh", "krylov"])
@pytest.mark.parametrize("kind", ["layered", "sparse"])
def test_subspace_agrees_with_scipy_where_the_spectrum_has_a_gap(kind, solver):
    layered = mj.LayeredGraph.from_weights(nets.planted_weights(3, (40, 30, 20, 12), 4, noise=0.05))
    graph = layered if kind == "layered" else nets.sparse_twin(layered)
    values, vectors = nets.spectrum(nets.dense(graph))
    assert values[3] - values[4] > 0.3
    found = solve(graph, jax.random.key(1), num_clusters=4, solver=solver)
    lifted = np.asarray(found.points) * np.sqrt(np.asarray(graph.degrees()))[:, None]
    assert scipy.linalg.subspace_angles(lifted, vectors[:, :4]).max() < 1e-4


@pytest.mark.parametrize("case", ["small layered", "small sparse"])
@pytest.mark.parametrize("num_clusters", [2, 5])
def test_lower_bound_holds_for_random_partitions(case, num_clusters):
    rng = np.random.default_rng(0)
    cut = jax.jit(mj.ncut, static_argnames="num_clusters")
    for graph in CASES[case]():
        bound = float(solve(graph, jax.random.key(0), num_clusters=num_clusters).lower_bound)
        assert -1e-5 < bound < num_clusters
        connected = np.flatnonzero(np.asarray(graph.degrees()) > 0)
        for _ in range(40):
            labels = np.full(graph.num_nodes, -1)
            labels[connected] = rng.permutation(np.arange(connected.size) % num_clusters)
            assert cut(graph, labels, num_clusters=num_clusters) >= bound - 1e-4


def test_lower_bound_is_reached_by_disjoint_parts():
    graph = mj.LayeredGraph.from_weights(nets.planted_weights(0, (12, 9, 6), 3, noise=0.0))
    np.testing.assert_allclose(solve(graph, jax.random.key(0), num_clusters=3).lower_bound, 0, atol=1e-5)


def cycle(size):
    return mj.SparseGraph.from_edges(np.arange(size), (np.arange(size) + 1) % size, np.ones(size), num_nodes=size)


def path(size):
    return mj.SparseGraph.from_edges(np.arange(size - 1), np.arange(1, size), np.ones(size - 1), num_nodes=size)


def complete(size):
    return mj.SparseGraph.from_scipy(np.ones((size, size)) - np.eye(size))


def complete_bipartite(rows, columns):
    return mj.LayeredGraph.from_weights([np.full((rows, columns), 0.7)])


CLOSED_FORMS = {
    "even cycle": (cycle(40), np.cos(2 * np.pi * np.array([0, 1, 1, 2, 2, 3]) / 40)),
    "odd cycle": (cycle(151), np.cos(2 * np.pi * np.array([0, 1, 1, 2, 2, 3]) / 151)),
    "path": (path(50), np.cos(np.pi * np.arange(6) / 49)),
    "complete": (complete(30), np.array([1, *[-1 / 29] * 5])),
    "complete bipartite": (complete_bipartite(20, 9), np.array([1, 0, 0, 0, 0, 0])),
    "its edge list": (nets.sparse_twin(complete_bipartite(20, 9)), np.array([1, 0, 0, 0, 0, 0])),
    "wide complete bipartite": (complete_bipartite(140, 150), np.array([1, 0, 0, 0, 0, 0])),
}


@pytest.mark.parametrize("solver", ["eigh", "krylov"])
@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms(name, solver):
    graph, expected = CLOSED_FORMS[name]
    found = solve(graph, jax.random.key(0), num_clusters=6, solver=solver)
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-4)
    assert found.converged


def test_layer_narrower_than_the_number_of_clusters():
    # Odd layers of 3 neurons: B has 3 singular values, and the spectrum goes on with zeros.
    graph = nets.random_net(4, (20, 3, 18))
    found = solve(graph, jax.random.key(0), num_clusters=6)
    np.testing.assert_allclose(found.eigenvalues, nets.spectrum(nets.dense(graph))[0][:6], atol=1e-5)
    assert found.points.shape == (41, 6)
    assert (np.asarray(found.points)[:, 3:] == 0).all()


def test_bound_holds_where_the_spectrum_has_negative_values_among_the_first():
    # 2 + 3 vertices: eigenvalues s, t, 0, -t, -s. The solver stops at 0, so the bound is lower than k - sum but holds.
    graph = nets.random_net(5, (2, 3))
    found = solve(graph, jax.random.key(0), num_clusters=4)
    expected = nets.spectrum(nets.dense(graph))[0][:4]
    np.testing.assert_allclose(found.eigenvalues, np.maximum(expected, 0), atol=1e-5)
    assert found.lower_bound <= 4 - expected.sum() + 1e-5


def test_start_of_the_krylov_solver_does_not_matter():
    graph = CASES["large layered"]()[0]
    values = [solve(graph, jax.random.key(s), num_clusters=4, solver="krylov").eigenvalues for s in range(5)]
    np.testing.assert_allclose(np.ptp(values, axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("solver", ["eigh", "krylov"])
def test_scaling_the_weights_changes_no_eigenvalue(solver):
    weights = nets.random_weights(6, SMALL, 0.5)
    found = [
        solve(mj.LayeredGraph.from_weights([f * w for w in weights]), jax.random.key(0), num_clusters=4, solver=solver)
        for f in (1.0, 1e-8, 1e8)
    ]
    np.testing.assert_allclose(found[1].eigenvalues, found[0].eigenvalues, atol=1e-5)
    np.testing.assert_allclose(found[2].eigenvalues, found[0].eigenvalues, atol=1e-5)


def path_operator(size):
    """(P + I) / 2 with P the normalised adjacency of a path; its leading eigenvalues crowd below 1."""
    scale = 1 / np.sqrt(np.array([1, *[2] * (size - 2), 1]))
    off = jnp.asarray(scale[:-1] * scale[1:], jnp.float32)[None, :]

    def apply(x):
        zero = jnp.zeros_like(x[:, :1])
        return (jnp.concatenate([zero, off * x[:, :-1]], 1) + jnp.concatenate([off * x[:, 1:], zero], 1) + x) / 2

    return apply


@pytest.mark.parametrize(("max_restarts", "expected"), [(1, False), (2, False), (2000, True)])
def test_converged_tells_whether_the_restarts_sufficed(max_restarts, expected):
    size = 400
    start = jax.random.normal(jax.random.key(0), (8, size))
    pairs = leading_eigenpairs(
        path_operator(size),
        start,
        num_pairs=4,
        tolerance=lambda values: jnp.full_like(values, 1e-5),
        max_restarts=max_restarts,
    )
    exact = (1 + np.cos(np.pi * np.arange(4) / (size - 1))) / 2
    assert bool(pairs.converged) is expected
    assert (np.abs(np.asarray(pairs.values) - exact).max() < 1e-4) == expected
    np.testing.assert_allclose(pairs.vectors @ pairs.vectors.T, np.eye(4), atol=1e-4)
