"""Differentiable weight masks: what of a trained network each sub-task needs (Csordas et al. 2021, arXiv 2010.02066).

The network is frozen. Every kernel entry has a logit l, its mask is drawn anew for each part of a batch, and the
sub-task's loss moves the logits.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.typing import ArrayLike

from modularity_jax.graphs import checks
from modularity_jax.graphs.numerics import full_precision
from modularity_jax.metric.group_sizes import on_cpu
from modularity_jax.nets.adam import Moments, adam_step
from modularity_jax.nets.group_sizes import networks_at_once
from modularity_jax.parallel import as_mesh, grouped_map, outside_explicit_mesh
from modularity_jax.probes.labels import check_classes
from modularity_jax.probes.mask_trees import drawn_masks, kernels_in, with_masks
from modularity_jax.programs import is_concrete, program

Array = jax.Array
Predict = Callable[[Any, Array], Array]  # of params and samples [B, ...], logits [B, C]
Loss = Callable[[Array, Array], Array]  # of logits [B, C] and y [B, ...], the loss of each sample [B]

# Of the published code: a logit's start, the gradient's largest norm, Adam's epsilon.
INITIAL_LOGIT = 2.0
MAX_NORM = 1.0
EPSILON = 1e-8


class MaskProblem(NamedTuple):
    """What is static of a training of masks; equal ones share their programs."""

    apply: Predict
    loss: Loss
    batch_size: int
    num_samples: int
    mesh: Mesh | None


class MaskRates(NamedTuple):
    """Numbers that decide no program."""

    alpha: Any
    learning_rate: Any
    num_steps: Any


def cross_entropy(logits: Array, y: Array) -> Array:
    """Of logits [B, C] and classes [B], in nats, [B]."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)[:, 0]


@outside_explicit_mesh
def train_masks(
    apply: Predict,
    params: Any,
    x: ArrayLike,
    y: ArrayLike,
    key: Array,
    *,
    alpha: float | Array,
    num_steps: int,
    learning_rate: float | Array = 1e-2,
    batch_size: int = 128,
    num_samples: int = 4,
    loss: Loss = cross_entropy,
    mesh: Mesh | None = None,
) -> Any:
    """A mask of a frozen network's kernels for each of T sub-tasks (Csordas et al. 2021), all in one program.

    A kernel entry has the logit l = 2 at first. In each step a batch is drawn with replacement and cut into parts; for
    each of them s = sigmoid(l + g) with g logistic noise, the network runs with its kernels times [s > 1/2], which is 1
    with probability sigmoid(l), and the gradient passes straight through to s. To the mean loss of the batch
    alpha / batch_size times the sum of the logits is added; Adam with a global gradient norm of at most 1. As in the
    published code, the penalty is linear in the logits, so that a weight that does not matter leaves at Adam's full
    rate at any alpha well above its epsilon, 1e-8: alpha is weighed against the gradients of the others. With
    alpha = 0 nothing but the loss moves a logit.

    Args:
      apply: (params, x [B, ...]) -> logits [B, C], in evaluation; hashed by identity, one program each.
      params: pytree; leaves with two or more axes are masked, biases are not. What else is to be left out is what
        `apply` closes over.
      x, y: samples of the sub-tasks [T, n, ...]; y are classes [T, n] for the default loss.
      key: typed PRNG key, consumed. Sub-task t takes fold_in(key, t), so that it depends on no other. Keys [S] stand
        for as many networks, of which params have the leaves [S, ...].
      alpha, learning_rate: at least 0; may be traced.
      num_steps: no static number.
      batch_size, num_samples: static; a batch is cut into so many equal parts with masks of their own.
      loss: (logits [B, C], y [B, ...]) -> [B], static.
      mesh: whose devices share the masks.

    Returns:
      Logits [T, ...] with the params' structure, None for what is not masked; a mask is l > 0. Of several networks
      [S, T, ...].

    Raises:
      ValueError: if the samples do not fit one another or the network, no leaf is masked, num_samples does not divide
        batch_size, a number is out of its range, or params are not of as many networks as there are keys.
    """
    keys, one = _networks_of(params, key)
    x, y = check_sub_tasks(apply, one, x, y, classes=loss is cross_entropy)
    checks.check_count("num_steps", num_steps, 0)
    checks.check_count("batch_size", batch_size, 1)
    checks.check_count("num_samples", num_samples, 1)
    if batch_size % num_samples:
        raise ValueError(f"num_samples must divide batch_size={batch_size}, got {num_samples}")
    rates = MaskRates(_rate("alpha", alpha), _rate("learning_rate", learning_rate), np.int32(num_steps))
    problem = MaskProblem(apply, loss, int(batch_size), int(num_samples), as_mesh(mesh))
    return _train(problem, params, x, y, keys, rates)


def _networks_of(params: Any, key: Array) -> tuple[Array, Any]:
    """The checked key, or those of several networks [S], and the params of one of them, maybe as shapes."""
    several = (
        isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 1 and key.size > 0
    )
    keys = jnp.stack([checks.as_key(own) for own in key]) if several else checks.as_key(key)
    if several and {np.shape(leaf)[:1] for leaf in jax.tree.leaves(params)} != {keys.shape}:
        shapes = sorted({np.shape(leaf) for leaf in jax.tree.leaves(params)})
        raise ValueError(f"params must have leaves [{len(keys)}, ...], of as many networks as keys, got {shapes}")
    if not jax.tree.leaves(kernels_in(params, several)):
        raise ValueError("params must hold a kernel, a leaf with two or more axes, got none")
    one = jax.eval_shape(lambda leaves: jax.tree.map(lambda leaf: leaf[0], leaves), params) if several else params
    return keys, one


@functools.partial(program, static_argnums=0)
@full_precision
def _train(problem: MaskProblem, params: Any, x: Any, y: Any, keys: Array, rates: MaskRates) -> Any:
    """Logits [T, ...], or [S, T, ...] of keys [S]."""
    networks = params if keys.ndim else jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params)
    places = network, sub_task = np.indices((keys.size, len(x)), np.int32).reshape(2, -1)
    own_keys = jax.vmap(jax.random.fold_in)(keys.reshape(-1)[network], sub_task)

    def one(item: tuple[Array, Array], networks: Any, x: Array, y: Array, rates: MaskRates) -> Any:
        (network, sub_task), key = item
        params = jax.tree.map(lambda leaf: leaf[network], networks)
        logits = jax.tree.map(lambda leaf: jnp.full(leaf.shape, INITIAL_LOGIT, jnp.float32), kernels_in(params))
        zeros = jax.tree.map(jnp.zeros_like, logits)

        def step(index: Array, state: tuple[Any, Moments]) -> tuple[Any, Moments]:
            gradient = _gradient(problem, state[0], params, (x, y), sub_task, jax.random.fold_in(key, index))
            return _descend(*state, jax.tree.map(lambda leaf: leaf + rates.alpha / problem.batch_size, gradient), rates)

        return jax.lax.fori_loop(0, rates.num_steps, step, (logits, Moments(jnp.int32(0), zeros, zeros)))[0]

    shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(kernels_in(networks, True))]
    size = networks_at_once(shapes * problem.num_samples, network.size, problem.mesh.size if problem.mesh else 1)
    items = jnp.asarray(places.T), own_keys
    logits = grouped_map(one, items, networks, x, y, rates, group_size=size, mesh=problem.mesh)
    return jax.tree.map(lambda leaf: leaf.reshape(*keys.shape, len(x), *leaf.shape[1:]), logits)


def _gradient(
    problem: MaskProblem, logits: Any, params: Any, samples: tuple[Array, Array], sub_task: Array, key: Array
) -> Any:
    """Of the mean loss of a batch of the sub-task's samples, of which x and y [T, n, ...] are."""
    batch_key, *part_keys = jax.random.split(key, 1 + problem.num_samples)
    shape, count = (problem.num_samples, problem.batch_size // problem.num_samples), samples[0].shape[1]
    drawn = sub_task * count + jax.random.randint(batch_key, shape, 0, count, jnp.int32)
    x, y = (values.reshape(-1, *values.shape[2:])[drawn] for values in samples)

    def of_part(part: tuple[Array, Array, Array], params: Any, logits: Any) -> Any:
        key, x, y = part

        def loss(logits: Any) -> Array:
            return (
                problem.loss(problem.apply(with_masks(params, drawn_masks(logits, key)), x), y).sum()
                / problem.batch_size
            )

        return jax.grad(loss)(logits)

    size = 1 if on_cpu() else problem.num_samples
    parts = grouped_map(of_part, (jnp.stack(part_keys), x, y), params, logits, group_size=size)
    return jax.tree.map(lambda leaf: leaf.sum(axis=0), parts)


def _descend(logits: Any, moments: Moments, gradient: Any, rates: MaskRates) -> tuple[Any, Moments]:
    """A step of Adam."""
    norm = jnp.sqrt(sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(gradient)))
    clipped = jax.tree.map(lambda leaf: leaf * jnp.minimum(1, MAX_NORM / norm), gradient)
    updates, moments = adam_step(clipped, moments, rates.learning_rate, epsilon=EPSILON)
    return jax.tree.map(jnp.add, logits, updates), moments


def check_sub_tasks(apply: Predict, params: Any, x: Any, y: Any, *, classes: bool) -> tuple[Any, Any]:
    """Samples of sub-tasks that fit one another and the network; y of classes where these are asked for.

    Raises:
      ValueError: if they do not.
    """
    x, y = checks.as_numbers("x", x), checks.as_array("y", y)
    if x.ndim < 2 or x.shape[:2] != y.shape[:2] or 0 in x.shape[:2]:
        raise ValueError(f"x and y must have shape [T, n, ...], of T sub-tasks, got {x.shape} and {y.shape}")
    checks.check_finite("x", x)
    one = jax.ShapeDtypeStruct(x.shape[1:], jax.dtypes.canonicalize_dtype(x.dtype))
    logits = jax.eval_shape(apply, params, one).shape
    if len(logits) != 2 or logits[0] != x.shape[1]:
        raise ValueError(f"apply must give logits [B, C] of x [B, ...], got {logits} of {one.shape}")
    if classes and is_concrete(y):
        if y.ndim > 2:
            raise ValueError(f"y must be classes [T, n], or a loss or metric of your own is needed, got {y.shape}")
        check_classes(np.asarray(y).reshape(-1), y.size, logits[1])
    return x, y


def _rate(name: str, value: Any) -> Any:
    """A number of at least 0, float32."""
    number = checks.as_numbers(name, value)
    if number.ndim or (is_concrete(number) and not 0 <= float(number) < np.inf):
        raise ValueError(f"{name} must be a finite number of at least 0, got {value}")
    return number.astype(np.float32)
