"""One partition that many agree on."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.metric.moves import members_of
from modularity_jax.metric.signed import SignedSettings, partition_signed
from modularity_jax.parallel import outside_explicit_mesh
from modularity_jax.programs import is_concrete, program

Array = jax.Array

# Rounds at most; where any agreement is beyond chance, it takes one to three.
MOST_ROUNDS = 20


class Consensus(NamedTuple):
    """What X partitions of N units agree on."""

    labels: Array  #: [N] int32, -1 on units that have no cluster in any of the partitions
    agreement: Array  #: [N, N], share of the given partitions in which each two units are together; 0 on the diagonal
    num_rounds: Array  #: [] int32, 0 where the given partitions are one
    converged: Array  #: [] bool, whether all partitions became one


class _State(NamedTuple):
    """After a round."""

    restarts: Array  # [X, N] int32
    best: Array  # [] int32, which of them to keep
    counts: Array  # [N, N], in how many of them each two units are together
    number: Array  # [] int32


@outside_explicit_mesh
def consensus(labels: ArrayLike, key: Array, *, num_clusters: int) -> Consensus:
    """The consensus of partitions of the same units (Lancichinetti and Fortunato 2012). `jax.vmap` batches it.

    P_ij is the share of partitions in which i and j are together, and p the mean of P over all pairs, which is what
    each P_ij would be expected to be if the labels of every partition were permuted. As many partitions as were given
    are made to have a high sum_ij (P_ij - p) [g_i = g_j], see `cluster_signed`, and take the place of the given ones,
    until all are one.

    Args:
      labels: X partitions, [X, N] integers in -1..num_clusters - 1, such as `SignedClustering.restarts`, or the labels
        of one graph under many keys, or those of a network's units at many times; -1 means none.
      key: typed PRNG key, consumed.
      num_clusters: K, static.

    Returns:
      After `MOST_ROUNDS` rounds without agreement, `converged` is False and labels are the best of the last round.

    Raises:
      ValueError: if num_clusters is not a whole number, below 2 or above N, labels are no integers [X, N] in that
        range, or key is not one key.
    """
    checks.check_count("num_clusters", num_clusters, 2)
    given = checks.as_integers("labels", labels)
    if given.ndim != 2 or not len(given) or given.shape[1] < num_clusters:
        raise ValueError(f"labels must have shape [X, N] with N of at least {num_clusters}, got {given.shape}")
    if is_concrete(given):
        checks.check_clusters(np.asarray(given).reshape(-1), num_clusters, given.size)
    return _consensus(jnp.asarray(given, jnp.int32), checks.as_key(key), int(num_clusters))


@functools.partial(program, static_argnums=2)
@full_precision
def _consensus(labels: Array, key: Array, num_clusters: int) -> Consensus:
    live = (labels >= 0).any(axis=0)
    size = live.sum().astype(jnp.result_type(float))
    num_pairs = jnp.maximum(size * (size - 1), 1)
    settings = SignedSettings(num_clusters, len(labels), "uniform")

    def unlike(state: _State) -> Array:
        return ((state.counts > 0) & (state.counts < len(labels))).any()

    def next_round(state: _State) -> _State:
        shares, own_key = state.counts / len(labels), jax.random.fold_in(key, state.number)
        found = partition_signed(shares, own_key, shares.sum() / num_pairs, settings, live)
        return _state(found.restarts, found.values.argmax().astype(jnp.int32), state.number + 1)

    def _state(restarts: Array, best: Array, number: Array) -> _State:
        return _State(restarts, best, _together(restarts, num_clusters), number)

    first = _state(labels, jnp.int32(0), jnp.int32(0))
    last = jax.lax.while_loop(lambda state: unlike(state) & (state.number < MOST_ROUNDS), next_round, first)
    return Consensus(last.restarts[last.best], first.counts / len(labels), last.number, ~unlike(last))


def _together(labels: Array, num_clusters: int) -> Array:
    """In how many of the partitions [X, N] each two units have one cluster, [N, N]; 0 on the diagonal."""
    members = members_of(labels, num_clusters, jnp.result_type(float)).reshape(-1, labels.shape[1])
    return jnp.where(jnp.eye(labels.shape[1], dtype=bool), 0, members.T @ members)
