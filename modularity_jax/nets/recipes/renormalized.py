"""Units of one size before every step: what 2103.03386 does to networks with its penalty, and not to their controls."""

from modularity_jax.graphs.normalization import normalize
from modularity_jax.nets.kernels import Params, biases_of, kernels_of, with_biases, with_kernels
from modularity_jax.nets.recipes.train_then_prune import TRAIN_THEN_PRUNE


def renormalize(params: Params) -> Params:
    """The same network with hidden units of size 1, sqrt((sum of squared weights in + bias^2) / 2); see `normalize`.

    Adam's moments stay as they are, and so do the parameters after the last step, as published.
    """
    kernels = kernels_of(params)
    made, biases = normalize([*kernels.values()], biases_of(params), size="l2_bias")
    return with_biases(with_kernels(params, dict(zip(kernels, made, strict=True))), biases)


RENORMALIZED = TRAIN_THEN_PRUNE._replace(before_step=renormalize, for_chains=True)
