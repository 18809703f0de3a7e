"""Mixtures of experts, and functions chosen by signatures: how gates spread, what they tell, what gates there are."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.probes.routing import check_distributions
from modularity_jax.programs import is_concrete, program

Array = jax.Array


def load_entropy(gates: ArrayLike) -> Array:
    """Entropy of the experts' load, H(mean_n p(e | x_n)) in nats: log M where all are used alike, 0 where one alone is.

    Its exponential is the effective number of experts. Differentiable.

    Args:
      gates: probabilities of the experts, [n, M].

    Raises:
      ValueError: if gates are no distributions, one a sample.
    """
    return _load_entropy(_as_gates(gates))


def gate_information(gates: ArrayLike, groups: ArrayLike | None = None) -> Array:
    """Mutual information of the expert and of a sample's group, in nats.

    H(mean_n p) - sum_g n_g / n H(mean_{n in g} p), p the gates of a sample, by which its expert is drawn; groups are
    domains, languages, tasks. Between 0 and the smaller of both entropies. Differentiable in the gates.

    Args:
      gates: probabilities of the experts, [n, M].
      groups: of each sample, [n] integers; None takes each sample for itself: the mutual information of token and
        expert, whose negative is ModuleFormer's loss of its router (Shen et al. 2023).

    Raises:
      ValueError: if gates are no distributions, or groups are not integers, one a sample.
    """
    given = _as_gates(gates)
    count = given.shape[0]
    places = np.arange(count)
    if groups is not None:
        labels = np.asarray(checks.as_integers("groups", groups))
        if labels.shape != (count,):
            raise ValueError(f"groups must have shape ({count},), one per sample, got {labels.shape}")
        places = np.unique(labels, return_inverse=True)[1]
    return _gate_information(given, places, np.bincount(places))


def signature_affinity(
    signatures: ArrayLike, types: ArrayLike, *, bandwidth: ArrayLike = 1.0, truncation: float = 2.0
) -> Array:
    """How well each function's signature suits each token's type: exp(-d / bandwidth), d = 1 - cosine; 0 beyond a d.

    Over its sum along each row it is the routing of Neural Interpreters (Rahaman et al. 2021, section 2): gates, whose
    `gate_assignment` has `routing_scores`. Of signatures with themselves it is a graph of modules, as in Neural
    Attentive Circuits (Rahaman et al. 2022). Differentiable.

    Args:
      signatures: of functions, [U, d].
      types: of tokens, [n, d], or signatures again.
      bandwidth: above 0; learnt, so it may be traced.
      truncation: the largest distance that is not cut off; 2, the default, is that of opposites.

    Returns:
      [n, U] in 0..1.

    Raises:
      ValueError: if an argument is not finite or of another shape, or bandwidth is not above 0.
    """
    given = {"signatures": signatures, "types": types}
    arrays = [jnp.asarray(checks.as_numbers(name, values), jnp.result_type(float)) for name, values in given.items()]
    for name, array in zip(given, arrays, strict=True):
        checks.check_finite(name, array)
        if array.ndim != 2 or array.shape[1] != arrays[0].shape[-1]:
            raise ValueError(
                f"{name} must be [U, d] and [n, d] of one d, got {' and '.join(str(a.shape) for a in arrays)}"
            )
    if is_concrete(bandwidth) and not np.all(np.asarray(bandwidth) > 0):
        raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
    return _signature_affinity(arrays[0], arrays[1], bandwidth, truncation)


def _as_gates(gates: ArrayLike) -> Array:
    given = checks.as_numbers("gates", gates)
    if given.ndim != 2 or not given.size:
        raise ValueError(f"gates must have shape [n, M], got {given.shape}")
    if is_concrete(given):
        check_distributions("gates", np.asarray(given))
    return jnp.asarray(given, jnp.result_type(float))


@program
def _load_entropy(gates: Array) -> Array:
    return _entropy(gates.mean(axis=0))


def _entropy(shares: Array) -> Array:
    """H [...] of distributions [..., M], with a finite slope at 0, so that a softmax that is 0 has one of 0."""
    return -(shares * jnp.log(jnp.maximum(shares, jnp.finfo(shares.dtype).tiny))).sum(axis=-1)


@program
@full_precision
def _gate_information(gates: Array, places: ArrayLike, sizes: np.ndarray) -> Array:
    own = jax.ops.segment_sum(gates, places, len(sizes)) / sizes[:, None].astype(gates.dtype)
    weights = sizes.astype(gates.dtype) / len(gates)
    return _entropy(gates.mean(axis=0)) - weights @ _entropy(own)


@program
@full_precision
def _signature_affinity(signatures: Array, types: Array, bandwidth: ArrayLike, truncation: float) -> Array:
    signatures, types = (x / jnp.linalg.norm(x, axis=1, keepdims=True) for x in (signatures, types))
    distance = 1 - jnp.clip(types @ signatures.T, -1, 1)  # opposites are no farther than 2 by rounding
    return jnp.where(distance <= truncation, jnp.exp(-distance / bandwidth), 0)
