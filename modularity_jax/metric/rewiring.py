"""Part of a network's wiring at random: what lies between a network as it is and its control `layer`."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from modularity_jax.graphs.protocol import Block, Graph
from modularity_jax.metric.permutation import permuted_parts, random_words

Array = jax.Array
G = TypeVar("G", bound=Graph)


def rewired(graph: G, key: Array, share: Array) -> G:
    """The graph with each non-zero weight taken out with probability `share`, and put back somewhere; no jit.

    Those taken out of a block go, in any order, to places of it that are free then, all choices equally likely: places
    between connected neurons that hold no weight, or held one that was taken out. So share 1 is the control `layer`
    whatever the density; where no weight is 0, those taken out trade places.

    Args:
      graph: of blocks, not of a list of edges.
      key: typed PRNG key, consumed.
      share: [], in [0, 1]; may be traced.
    """
    choice_key, place_key = jax.random.split(key)
    blocks, connected = graph.blocks(), graph.degrees() > 0
    weights = jnp.concatenate([block.weights.reshape(-1) for block in blocks])
    between = [_places(block, connected).reshape(-1) for block in blocks]
    taken = jax.random.uniform(choice_key, weights.shape, jnp.float32) < share
    free = jnp.concatenate(between) & (taken | (weights == 0))
    counted = jnp.cumsum(free, dtype=jnp.int32)
    ends = np.cumsum([block.weights.size for block in blocks]) - 1
    number = jnp.maximum(counted - 1, 0)  # of each free place
    held = jnp.zeros_like(weights).at[jnp.where(free, number, weights.size)].set(weights, mode="drop")
    source = permuted_parts(
        jnp.diff(counted[ends], prepend=0),
        random_words(place_key),
        length=weights.size,
        max_size=max(block.weights.size for block in blocks),
    )
    return graph.with_weights(jnp.where(free, held[source[number]], weights))


def _places(block: Block, connected: Array) -> Array:
    """Which places of a block [a, b] a weight may have."""
    between = connected[block.rows][:, None] & connected[block.columns][None, :]
    return jnp.triu(between, 1) if block.triangle else between
