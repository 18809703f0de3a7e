"""A measure of one's own: coverage, the share of the weight that stays inside clusters; higher is more modular."""

import jax.numpy as jnp

from modularity_jax.metric.measures import Measure


def coverage(graph, labels, *, num_clusters):
    """Of partitions [X, N]."""
    members = (labels[:, None, :] == jnp.arange(num_clusters)[None, :, None]).astype(graph.degrees().dtype)
    received = graph.matvec(members.reshape(-1, labels.shape[1])).reshape(members.shape)
    return (members * received).sum(axis=(1, 2)) / graph.degrees().sum()


MEASURE = Measure(coverage, higher=True)
