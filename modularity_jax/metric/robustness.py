"""How much of a network's wiring must be scrambled before its modules are what chance gives?

After the robustness modularity of Silva, Albeshri, Thayananthan, Alhalabi and Fortunato (Phys. Rev. E 105, 054308,
2022): one less the integral, over the share p of rewired edges, of the share of graphs whose partition is trivial. For
a list of edges the graphs are theirs. They are of no use to a network: to a block model its layers are groups, and a
random graph has no layers. So networks of blocks have a form of our own, in which weights stay in their block.
"""

import functools
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from modularity_jax.graphs import checks
from modularity_jax.graphs.protocol import Graph
from modularity_jax.metric.bethe_hessian import count_groups, largest_component, rewired_edges
from modularity_jax.metric.items import CAPACITY, Items, items_at_once, warn_unless_converged
from modularity_jax.metric.measures import measure_of
from modularity_jax.metric.partition import check_settings, partition
from modularity_jax.metric.rewiring import rewired
from modularity_jax.metric.settings import Settings
from modularity_jax.metric.statistics import TIE_TOLERANCE
from modularity_jax.parallel import as_mesh, gather, grouped_range, in_order, on_all_devices, outside_explicit_mesh
from modularity_jax.programs import is_concrete, program

Array = jax.Array

# Controls with p = 1 for each rewiring. From 24 alone the limit is so uncertain that the robustness of networks without
# structure spreads by .05 instead of .03.
NUM_CONTROLS = 4
# Vertices of a list of edges whose matrix [N, N] is written out.
MAX_VERTICES = 10_000


class Robustness(NamedTuple):
    """A measure of P x R rewired graphs, and how long it stays above chance."""

    robustness: Array  #: [], in [0, 1]: 1 less the integral of `trivial` over `shares`, by the trapezoid rule
    shares: Array  #: [P], of weights that are rewired: 0 to 1 in equal steps
    mean: Array  #: [P], of the rewirings' values
    trivial: Array  #: [P], share of the rewirings whose value is not beyond the limit
    limit: Array  #: [], of values that chance gives
    values: Array  #: [P, R], of the measure; NaN as in `ShuffleTest`, which is trivial. Of a list of edges, its groups
    controls: Array  #: [4 R], values at p = 1 that give the limit, the last share's first; [0] of a list of edges
    all_converged: Array  #: [] bool, of every rewiring's eigenvectors


class _Numbers(NamedTuple):
    """How many there are."""

    shares: Any  # [] int32
    rewirings: Any  # [] int32, of each share


@outside_explicit_mesh
def robustness(
    graph: Graph,
    key: Array,
    *,
    num_clusters: int | None = None,
    num_shares: int = 21,
    num_rewirings: int = 24,
    measure: str = "modularity",
    num_restarts: int = 10,
    gamma: float = 1.0,
    rewirings_per_group: int | None = None,
    mesh: Mesh | None = None,
) -> Robustness:
    """The share of a network's wiring that can be scrambled before its modules are no better than chance.

    Of a network of blocks (the layered form, which is ours): each non-zero weight is taken out with probability p, and
    those that are taken out of a block are put back, in any order, at any of its places that are free then. At p = 1
    that is the control `layer`, at any density. The rewired network is partitioned by the measure. Of 4 R with p = 1
    the limit is the value that one more surpasses in 5% of all cases at most; what does not surpass it is trivial. A
    network without structure surpasses it as often as chance does, whatever p: its robustness is .04 +- .03, or up to
    .08 where neurons have three weights or fewer on each side, because rewiring isolates some; one that is modular
    until nearly all is scrambled has nearly 1. Where neurons have uneven strengths, which rewiring evens out, networks
    err on the safe side (.01 without structure).

    Of a `SparseGraph` (the published form): of the largest component each edge has, with probability p, two new ends
    that are any two of its vertices. Of what results, loops and doubles go and the largest component stays. Its value
    is the number of groups that the Bethe-Hessian finds (Saade, Krzakala and Zdeborova 2014), and a single one is
    trivial; weights do not count. On the host: 504 graphs of 1,000 vertices take 10 s, of 2,000 46 s.
    Of a network, pass the blocks instead: as a list of edges it has groups because it has layers.

    Rewiring r at the share number p uses the key fold_in(fold_in(key, r), p). A result does not depend on the number of
    devices; networks of blocks may be traced.

    Args:
      graph: of blocks, or a SparseGraph, which has no use for the arguments from measure on.
      key: typed PRNG key, consumed.
      num_clusters: K, static; None for a SparseGraph.
      num_shares: P, steps from p = 0 to p = 1, both included.
      num_rewirings: R at each of them.
      measure, num_restarts, gamma: as in `cluster`.
      rewirings_per_group, mesh: as `shuffles_per_group` and `mesh` in `shuffle_test`.

    Raises:
      ValueError: as `cluster`, and if num_shares is below 2, num_rewirings or rewirings_per_group below 1, or one of
        them no whole number; if num_clusters is given for a SparseGraph, its largest component has more than 10,000
        vertices, or it has no values to look at.
    """
    key = checks.as_key(key)
    checks.check_graph(graph)
    checks.check_count("num_shares", num_shares, 2)
    checks.check_count("num_rewirings", num_rewirings, 1)
    if rewirings_per_group is not None:
        checks.check_count("rewirings_per_group", rewirings_per_group, 1)
    numbers = _Numbers(int(num_shares), int(num_rewirings))
    if not all(block.rows for block in graph.blocks()):
        return _of_edges(graph, key, numbers, num_clusters)
    checks.check_count("num_clusters", num_clusters, 2)
    settings = Settings(cast(int, num_clusters), num_restarts, "ncut", "auto", True, measure, gamma)
    check_settings(settings, graph)
    return _of_blocks(graph, key, numbers, settings, rewirings_per_group, as_mesh(mesh))


def _of_blocks(
    graph: Graph, key: Array, numbers: _Numbers, settings: Settings, group_size: int | None, mesh: Mesh | None
) -> Robustness:
    rewirings, size = numbers.rewirings, int(group_size or items_at_once(graph, settings))
    count = (numbers.shares + NUM_CONTROLS - 1) * rewirings
    # One program for all numbers that fit into as much room.
    capacity = -(-count // CAPACITY) * CAPACITY
    arguments = on_all_devices((graph, key), mesh)
    found = _run(*arguments, jax.tree.map(np.int32, numbers), settings, capacity, size, mesh)
    found = gather(found) if is_concrete(found) else found
    value, converged = jax.tree.map(lambda x: in_order(x, count, size, 1 if mesh is None else mesh.size), found)
    warn_unless_converged(converged.all(), "rewirings")
    values, controls = value[: numbers.shares * rewirings].reshape(numbers), value[-NUM_CONTROLS * rewirings :]
    xp: Any = np if is_concrete(value) else jnp
    sign = 1 if measure_of(settings.measure).higher else -1
    scores, ordered = (xp.where(xp.isnan(x), -xp.inf, sign * x) for x in (values, controls))
    limit = xp.sort(ordered)[limit_rank(controls.size) - 1]
    is_trivial = scores - TIE_TOLERANCE * xp.abs(scores) <= limit
    return _told(values, is_trivial, sign * limit, controls, converged.all(), xp)


def limit_rank(num_controls: int) -> int:
    """Which of the controls, the least modular one first, another one surpasses in 5% of all cases at most.

    Of controls and one more, all alike, each is as likely to be the last, the last but one, ... Of fewer than 19 it is
    the last, whatever the odds.
    """
    return min(num_controls, -(-19 * (num_controls + 1) // 20))


def _of_edges(graph: Graph, key: Array, numbers: _Numbers, num_clusters: int | None) -> Robustness:
    if num_clusters is not None:
        raise ValueError(f"num_clusters must be None for a list of edges, got {num_clusters!r}")
    if not is_concrete((graph, key)):
        raise ValueError("graph must have values, got a list of edges under a transformation such as jit or vmap")
    senders, receivers = graph.ends()
    checks.check_some_edge(senders.size)
    edges = largest_component(senders, receivers)
    if edges.num_nodes > MAX_VERTICES:
        raise ValueError(f"graph must have at most {MAX_VERTICES} vertices in one component, got {edges.num_nodes}")
    words = np.asarray(jax.random.key_data(key)).tolist()
    groups = np.zeros(numbers, jnp.result_type(float))
    for step, number in np.ndindex(*numbers):
        rng = np.random.default_rng([*words, number, step])
        groups[step, number] = count_groups(rewired_edges(edges, step / (numbers.shares - 1), rng))
    return _told(groups, groups <= 1, groups.dtype.type(1), groups[0, :0], np.bool_(True), np)


def _told(values: Any, is_trivial: Any, limit: Any, controls: Any, converged: Any, xp: Any) -> Robustness:
    """The curve of values [P, R], by the module xp, jax.numpy or numpy."""
    kind = values.dtype
    shares = xp.linspace(0, 1, values.shape[0], dtype=kind)
    trivial = is_trivial.mean(axis=1, dtype=kind)
    known = ~xp.isnan(values)
    with np.errstate(invalid="ignore"):  # a share without a known value has no mean
        mean = xp.where(known, values, 0).sum(axis=1) / known.sum(axis=1).astype(kind)
    below = ((trivial[:-1] + trivial[1:]) / 2).mean(dtype=kind)
    return Robustness(1 - below, shares, mean, trivial, limit, values, controls, converged)


@functools.partial(program, static_argnums=(3, 4, 5, 6))
def _run(
    graph: Graph,
    key: Array,
    numbers: _Numbers,
    settings: Settings,
    capacity: int,
    group_size: int,
    mesh: Mesh | None,
) -> Items:
    """Results of all rewirings, those of a share one after the other; of the last share there are `NUM_CONTROLS` R."""

    def item(index: Array, graph: Any, key: Array, numbers: _Numbers) -> tuple[Items, tuple[()]]:
        step = jnp.minimum(index // numbers.rewirings, numbers.shares - 1)
        number = index - step * numbers.rewirings
        share = step.astype(jnp.float32) / (numbers.shares - 1).astype(jnp.float32)
        own = jax.random.fold_in(jax.random.fold_in(key, number), step)
        rewiring_key, cluster_key = jax.random.split(own)
        found = partition(rewired(graph, rewiring_key, share).formed(), cluster_key, settings)
        return Items(jnp.where(found.num_empty > 0, jnp.nan, found.value), found.converged), ()

    count = (numbers.shares + NUM_CONTROLS - 1) * numbers.rewirings
    return grouped_range(item, count, graph, key, numbers, capacity=capacity, group_size=group_size, mesh=mesh)[0]
