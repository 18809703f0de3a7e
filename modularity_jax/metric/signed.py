"""Modularity of a matrix whose entries have a sign, such as correlations, and partitions by it.

With w+ and w- the positive and the negative parts of a matrix off its diagonal, s the sums of their rows and v their
totals,

    Q = Q+ - v- / (v+ + v-) Q-,    Q+- = 1/v+- sum_ij (w+-_ij - gamma s+-_i s+-_j / v+-) [g_i = g_j],

so that positive entries weigh more than negative ones, which tell what is apart, not what is together (Rubinov and
Sporns 2011). Without a negative entry it is Newman's modularity. Under the null "uniform" it is

    Q = 1 / (v+ + v-) sum_i!=j (w_ij - gamma) [g_i = g_j].
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.magnitudes import as_floats
from modularity_jax.graphs.numerics import divide, full_precision, near_one
from modularity_jax.metric.kmeans import kmeans, num_uniforms
from modularity_jax.metric.moves import Found, climb, members_of, received_by, through_all_sizes
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.programs import is_concrete, program

Array = jax.Array

# A sweep that gains less is rounding: Q's terms are shares of all weight.
LEAST_GAIN = 1e-6
# Of a matrix that counts as symmetric, in its largest entry.
ASYMMETRY = 1e-5


class SignedSettings(NamedTuple):
    """How a matrix is partitioned; see `cluster_signed`."""

    num_clusters: int
    num_restarts: int
    null: str


class SignedClustering(NamedTuple):
    """Partitions of N units from X starts."""

    labels: Array  #: [N] int32, of the start that came to the highest Q; -1 on units without an entry
    value: Array  #: [], its Q
    restarts: Array  #: [X, N] int32, of every start
    values: Array  #: [X], their Q


@outside_explicit_mesh
def signed_modularity(
    matrix: ArrayLike, labels: ArrayLike, *, num_clusters: int, gamma: float | None = None, null: str = "strengths"
) -> Array:
    """Signed modularity Q of a partition; see the formulas of `modularity_jax.metric.signed`.

    Args:
      matrix: [N, N], symmetric, real numbers of any sign. What stands on its diagonal does not count.
      labels: cluster of each unit, [N] integers in -1..num_clusters - 1; -1 means none.
      num_clusters: K, static.
      gamma: resolution, at least 0. None takes 1 with the null "strengths", and 0 with "uniform", of which it is the
        value of an entry that is neither together nor apart.
      null: what is expected of an entry: "strengths", by the sums of its row and column, of each sign on its own;
        "uniform", gamma, whichever entry it is.

    Returns:
      Scalar; 0 of a matrix without an entry.

    Raises:
      ValueError: if the matrix is not square, symmetric and finite, num_clusters is not a whole number or below 2, the
        labels are not integers of the right length and range, gamma is not a finite number of at least 0, or the null
        is unknown.
    """
    entries, value = _as_matrix(matrix), _as_gamma(num_clusters, gamma, null)
    given = checks.as_integers("labels", labels)
    checks.check_clusters(given, num_clusters, len(entries))
    resolution = jnp.asarray(value, entries.dtype)
    return _value(entries, jnp.asarray(given, jnp.int32), resolution, int(num_clusters), null)


@outside_explicit_mesh
def cluster_signed(
    matrix: ArrayLike,
    key: Array,
    *,
    num_clusters: int,
    num_restarts: int = 10,
    gamma: float | None = None,
    null: str = "strengths",
) -> SignedClustering:
    """A partition with a high signed modularity, into num_clusters parts or fewer. `jax.vmap` batches it.

    The K - 1 leading eigenvectors of the matrix less what is expected of it, each times the root of its eigenvalue
    (Newman 2006), are clustered by k-means from num_restarts starts. Each is then moved: every unit in turn goes where
    Q gains most, until none gains; and again and again two clusters become one, down to two. The best that is passed is
    kept of each start, so that they tell how sure a partition is: see `consensus`.

    Args:
      matrix, gamma, null: as `signed_modularity`.
      key: typed PRNG key, consumed.
      num_clusters: K, static.
      num_restarts: X, static.

    Raises:
      ValueError: as `signed_modularity`, and if num_clusters is above N, num_restarts is not a whole number or below 1,
        or key is not one key.
    """
    entries = _as_matrix(matrix)
    settings, value = as_settings(len(entries), num_clusters, num_restarts, gamma, null)
    return _alone(entries, checks.as_key(key), jnp.asarray(value, entries.dtype), settings)


@full_precision
def partition_signed(
    matrix: Array, key: Array, gamma: Array, settings: SignedSettings, live: Array | None = None
) -> SignedClustering:
    """As `cluster_signed`; no check, no jit.

    Args:
      matrix, key: as there.
      gamma: [], of the matrix's dtype; may be traced.
      settings: static.
      live: [N] bool, the units to be partitioned; None takes those with an entry.
    """
    size = settings.num_clusters
    alive = _connected(matrix) if live is None else live
    excess = NULLS[settings.null](_off_diagonal(matrix), alive, gamma)
    draws = jax.random.uniform(key, (num_uniforms(size, settings.num_restarts),), matrix.dtype)
    starts = kmeans(
        near_one(_vectors(excess, size - 1)),
        draws,
        weights=alive.astype(matrix.dtype),
        num_clusters=size,
        num_restarts=settings.num_restarts,
    ).labels
    between = _off_diagonal(excess)
    step = functools.partial(_in_turn, between, size)
    least_gain = jnp.asarray(LEAST_GAIN, matrix.dtype)
    found = through_all_sizes(lambda labels: climb(step, labels, least_gain), lambda x: x @ between, starts, size)
    diagonal = jnp.diagonal(excess) @ jnp.ones(len(excess), matrix.dtype)  # a product, which rounds in one way only
    restarts, values = jnp.where(alive[None, :], found.labels, -1), found.value + diagonal
    best = values.argmax()
    return SignedClustering(restarts[best], values[best], restarts, values)


@functools.partial(program, static_argnums=3)
def _alone(matrix: Array, key: Array, gamma: Array, settings: SignedSettings) -> SignedClustering:
    return partition_signed(matrix, key, gamma, settings)


@functools.partial(program, static_argnums=(3, 4))
@full_precision
def _value(matrix: Array, labels: Array, gamma: Array, num_clusters: int, null: str) -> Array:
    members = members_of(labels, num_clusters, matrix.dtype)
    return ((members @ NULLS[null](_off_diagonal(matrix), _connected(matrix), gamma)) * members).sum()


def _beyond_strengths(entries: Array, live: Array, gamma: Array) -> Array:
    del live  # others have no strength
    scaled = near_one(entries)
    sums = jnp.stack([jnp.maximum(sign * scaled, 0).sum(axis=1) for sign in (1, -1)])
    totals = sums.sum(axis=1)
    inverse = divide(jnp.ones_like(totals), jnp.stack([totals[0], totals.sum()]))
    expected = (gamma * inverse * jnp.array([1, -1], totals.dtype))[:, None] * sums
    # One multiplication beside the subtraction: with two of them, which is fused with it hangs on the whole program.
    return scaled * jnp.where(scaled > 0, inverse[0], inverse[1]) - expected.T @ divide(sums, totals[:, None])


def _beyond_constant(entries: Array, live: Array, gamma: Array) -> Array:
    expected = _off_diagonal(jnp.where(live[:, None] & live[None, :], gamma, 0))
    return divide(entries - expected, jnp.abs(entries).sum())


# Of entries [N, N], 0 on the diagonal, the units [N] that have any, and gamma: what each adds to Q.
NULLS: dict[str, Callable[[Array, Array, Array], Array]] = {"strengths": _beyond_strengths, "uniform": _beyond_constant}
GAMMAS = {"strengths": 1.0, "uniform": 0.0}


def _vectors(excess: Array, number: int) -> Array:
    """The leading eigenvectors [N, number], each times the root of its eigenvalue; 0 where that is not positive."""
    values, vectors = jnp.linalg.eigh(excess)
    leading = jnp.maximum(values[-number:], 0)[::-1]
    return vectors[:, -number:][:, ::-1] * jnp.sqrt(leading)[None, :]


def _in_turn(between: Array, num_clusters: int, labels: Array) -> Found:
    """Each unit in turn goes to its best cluster: no move lowers Q. Of labels [X, N], values without the diagonal."""
    rows = jnp.arange(len(labels), dtype=jnp.int32)

    def product(members: Array) -> Array:
        return received_by(lambda x: x @ between, members)

    def move(unit: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        labels, received = state
        own, offers = labels[:, unit], received[:, :, unit]
        best = offers.argmax(axis=1).astype(jnp.int32)
        best = jnp.where(offers[rows, best] > offers[rows, own], best, own)
        joined, left = (members_of(label[:, None], num_clusters, received.dtype) for label in (best, own))
        return labels.at[:, unit].set(best), received + (joined - left) * between[unit][None, None, :]

    received = product(members_of(labels, num_clusters, between.dtype))
    labels, _ = jax.lax.fori_loop(0, labels.shape[1], move, (labels, received))
    members = members_of(labels, num_clusters, between.dtype)
    return Found(labels, (product(members) * members).sum(axis=(1, 2)))


def _connected(matrix: Array) -> Array:
    """Which units [N] have an entry with another."""
    return (_off_diagonal(matrix) != 0).any(axis=1)


def _off_diagonal(matrix: Array) -> Array:
    return jnp.where(jnp.eye(len(matrix), dtype=bool), 0, matrix)


def as_settings(
    num_units: int, num_clusters: int, num_restarts: int, gamma: float | None, null: str
) -> tuple[SignedSettings, float]:
    """The settings of a partition of so many units, checked, and gamma."""
    value = _as_gamma(num_clusters, gamma, null)
    checks.check_count("num_restarts", num_restarts, 1)
    if num_clusters > num_units:
        raise ValueError(f"num_clusters must be at most the number of units, {num_units}, got {num_clusters}")
    return SignedSettings(int(num_clusters), int(num_restarts), null), value


def _as_gamma(num_clusters: int, gamma: float | None, null: str) -> float:
    checks.check_count("num_clusters", num_clusters, 2)
    checks.check_choice("null", null, tuple(NULLS))
    value = GAMMAS[null] if gamma is None else gamma
    checks.check_gamma(value)
    return float(value)


def _as_matrix(matrix: ArrayLike) -> Array:
    entries = as_floats("matrix", matrix)
    checks.check_square("matrix", entries)
    if is_concrete(entries) and entries.size:
        given = np.asarray(entries)
        difference = np.abs(given - given.T).max()
        if difference > ASYMMETRY * np.abs(given).max():
            raise ValueError(f"matrix must be symmetric, got entries that differ from their mirror by {difference:.3g}")
    return entries
