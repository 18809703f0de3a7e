"""Random wiring of a list of edges, and whether it has groups; on the host, without a look at the weights.

The published form of the robustness (Silva et al. 2022, Phys. Rev. E 105, 054308), with another judge than their block
model: the Bethe-Hessian (Saade, Krzakala and Zdeborova 2014).
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Edges(NamedTuple):
    """A simple graph: no loop, and no edge twice."""

    senders: Array  # [E] int64
    receivers: Array  # [E] int64
    num_nodes: int


def count_groups(edges: Edges) -> int:
    """Negative eigenvalues of H = (r^2 - 1) I - r A + D with r^2 = <k^2> / <k> - 1, k the degrees of D.

    Each is a group that can be told from random wiring; a random graph without groups has one of them at most, but for
    some 3 in 100. H is factored, H = L B L^T with B of blocks of one or two (Bunch and Kaufman 1977), and has as many
    negative eigenvalues as B (Sylvester's law of inertia). Takes memory of N^2 doubles.
    """
    import scipy.linalg.lapack  # here, because few callers need it

    degrees = np.bincount(np.concatenate(edges[:2]), minlength=edges.num_nodes).astype(float)
    if not degrees.any():
        return 0
    square = (degrees @ degrees) / degrees.sum() - 1
    matrix = np.zeros((degrees.size, degrees.size), order="F")
    matrix[edges.receivers, edges.senders] = matrix[edges.senders, edges.receivers] = -np.sqrt(square)
    np.fill_diagonal(matrix, square - 1 + degrees)
    factors, pivots, _ = scipy.linalg.lapack.dsytrf(matrix, lower=1, lwork=64 * degrees.size, overwrite_a=1)
    single = pivots > 0
    # A block of two, marked by two negative pivots, has one negative eigenvalue and a positive one.
    return int((single & (np.diag(factors) < 0)).sum() + (~single).sum() // 2)


def rewired_edges(edges: Edges, share: float, rng: np.random.Generator) -> Edges:
    """The largest component of the graph in which each edge, with probability `share`, has two other ends.

    These are any two vertices, all equally likely. Degrees are not kept: with share 1 the graph is a random one.
    """
    moved = rng.random(edges.senders.size) < share
    ends = rng.integers(edges.num_nodes, size=(2, moved.size))
    return largest_component(*(np.where(moved, new, old) for new, old in zip(ends, edges[:2], strict=True)))


def largest_component(senders: Array, receivers: Array) -> Edges:
    """The component with most vertices, the first of such, of a graph of these edges without its loops and doubles."""
    import scipy.sparse.csgraph  # here, because it is a tenth of the time that the library takes to import

    ends = np.unique(np.sort(np.stack([senders, receivers])[:, senders != receivers], axis=0), axis=1)
    known, ends = np.unique(ends, return_inverse=True)
    ends = ends.reshape(2, -1)
    if not known.size:
        return Edges(ends[0], ends[1], 1)
    matrix = scipy.sparse.coo_array((np.ones(ends.shape[1], bool), tuple(ends)), (known.size, known.size))
    _, component = scipy.sparse.csgraph.connected_components(matrix, directed=False)
    inside = component == np.bincount(component).argmax()
    number = np.cumsum(inside) - 1
    senders, receivers = number[ends[:, inside[ends[0]]]]
    return Edges(senders, receivers, int(inside.sum()))
