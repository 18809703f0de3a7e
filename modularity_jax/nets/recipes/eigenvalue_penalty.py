"""A penalty on the eigenvalues of the network's graph (2103.03386), by their exact gradient.

The published code's gradient is half of the true one: its weight 0.1 acts as 0.05 does here.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from modularity_jax.metric.spectral import spectral_clusterability, spectral_vectors
from modularity_jax.nets.config import ModelConfig, TrainConfig
from modularity_jax.nets.hyperparameters import is_zero
from modularity_jax.nets.kernels import Params
from modularity_jax.nets.models import architecture_of
from modularity_jax.nets.recipes.renormalized import renormalize
from modularity_jax.nets.recipes.train_then_prune import TRAIN_THEN_PRUNE, norm_penalty

Array = jax.Array


class Memory(NamedTuple):
    """What a step leaves for the next."""

    step: Array  # [] int32, of the phase
    rows: Array  # [C, N], from which the next eigenvectors are sought


def start(model: ModelConfig, train: TrainConfig, params: Params) -> Memory | None:
    """The eigenvectors of a phase's first network."""
    if is_zero(train.eigenvalue_weight):
        return None
    graph = architecture_of(model).graph(params)
    return Memory(jnp.int32(0), spectral_vectors(graph, num_clusters=train.num_eigenvalues + 1).T)


def eigenvalue_penalty(
    model: ModelConfig, train: TrainConfig, params: Params, memory: Any
) -> tuple[Array | float, Any]:
    """The weight times the mean of the least eigenvalues beyond the trivial ones, and the norms' penalty.

    Where it comes every n steps only, it counts n times.
    """
    norms, _ = norm_penalty(model, train, params, None)
    if memory is None:
        return norms, None
    count, every = train.num_eigenvalues, train.eigenvalues_every

    def added(params: Params) -> tuple[Array, Array]:
        graph = architecture_of(model).graph(params)
        vectors = spectral_vectors(jax.lax.stop_gradient(graph), num_clusters=count + 1, start=memory.rows.T)
        return spectral_clusterability(graph, num_clusters=count + 1, vectors=vectors), vectors.T

    def skipped(params: Params) -> tuple[Array, Array]:
        return jnp.zeros_like(memory.rows[0, 0]), memory.rows

    due = memory.step % every == 0
    value, rows = added(params) if every == 1 else jax.lax.cond(due, added, skipped, params)
    return norms + train.eigenvalue_weight * every / count * value, Memory(memory.step + 1, rows)


EIGENVALUE_PENALTY = TRAIN_THEN_PRUNE._replace(penalty=eigenvalue_penalty, memory=start)
RENORMALIZED_EIGENVALUE_PENALTY = EIGENVALUE_PENALTY._replace(before_step=renormalize, for_chains=True)
