"""A control of one's own: all weights of a layer, isolated neurons included."""

from modularity_jax.metric import methods


def all_of_it(xp, block, rows, columns):
    """All places, those at isolated neurons too."""
    return methods.everywhere(xp, block, xp.ones_like(rows), xp.ones_like(columns))


METHOD = methods.Method(all_of_it)
