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
from modularity_jax.programs import is_concrete, program

Array = jax.Array
Predict = Callable[[Any, Array], Array]  # of params and samples [B, ...], logits [B, C]
Loss = Callable[[Array, Array], Array]  # of logits [B, C] and y [B, ...], the loss of each sample [B]

# Of the published code: a logit's start, the gradient's largest norm, Adam's epsilon.
START = 2.0
MAX_NORM = 1.0
EPSILON = 1e-8


class MaskProblem(NamedTuple):
    """What is static of a training of masks; equal ones share their programs."""

    apply: Predict
    loss: Loss
    batch_size: int
    num_samples: int
    mesh: Mesh | None


class SubTaskData(NamedTuple):
    """Networks and sub-tasks side by side, which masks point to."""

    params: Any  # leaves [S, ...]
    x: Any  # [T, n, ...]
    y: Any  # [T, n, ...]


class MaskState(NamedTuple):
    """M masks between two steps."""

    logits: Any  # as a network's params, [M, ...]; None for what is not masked
    moments: Moments  # leaves [M, ...]
    network: Any  # [M] int32
    sub_task: Any  # [M] int32
    keys: Any  # [M] typed, Threefry


class Rates(NamedTuple):
    """Numbers that decide no program."""

    alpha: Any
    learning_rate: Any


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
    """One mask of a frozen network's kernels for each of T sub-tasks (Csordas et al. 2021), all in one program.

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
      key: typed PRNG key, consumed. Sub-task t takes fold_in(key, t), so that it depends on no other.
      alpha, learning_rate: at least 0; may be traced.
      num_steps: no static number.
      batch_size, num_samples: static; a batch is cut into so many equal parts with masks of their own.
      loss: (logits [B, C], y [B, ...]) -> [B], static.
      mesh: whose devices share the masks.

    Returns:
      Logits [T, ...] with the params' structure, None for what is not masked; a mask is l > 0.

    Raises:
      ValueError: if the samples do not fit one another or the network, no leaf is masked, num_samples does not divide
        batch_size, or a number is out of its range.
    """
    x, y = check_sub_tasks(apply, params, x, y, classes=loss is cross_entropy)
    if not jax.tree.leaves(_kernels(params)):
        raise ValueError("params must hold a kernel, a leaf with two or more axes, got none")
    checks.check_count("num_steps", num_steps, 0)
    checks.check_count("batch_size", batch_size, 1)
    checks.check_count("num_samples", num_samples, 1)
    if batch_size % num_samples:
        raise ValueError(f"num_samples must divide batch_size={batch_size}, got {num_samples}")
    rates = Rates(_rate("alpha", alpha), _rate("learning_rate", learning_rate))
    problem = MaskProblem(apply, loss, int(batch_size), int(num_samples), as_mesh(mesh))
    return _train(problem, params, x, y, checks.as_key(key), rates, np.int32(num_steps))


def masked(params: Any, masks: Any) -> Any:
    """The params times masks of one sub-task, as `train_masks` gives them: logits, or whether a weight stays."""
    return _times(params, kept(masks))


def kept(masks: Any) -> Any:
    """Whether a weight stays: logits above 0; bools are as they were."""
    return jax.tree.map(lambda leaf: leaf > 0, masks)


def start(params: Any, network: np.ndarray, sub_task: np.ndarray, keys: Array) -> MaskState:
    """Masks of networks for sub-tasks, both by number [M], and their keys [M]; params have the leaves [S, ...]."""
    logits = jax.tree.map(lambda leaf: np.full((len(network), *leaf.shape[1:]), START, np.float32), _kernels(params, 1))
    zeros = jax.tree.map(np.zeros_like, logits)
    moments = Moments(np.zeros(len(network), np.int32), zeros, zeros)
    return MaskState(logits, moments, network.astype(np.int32), sub_task.astype(np.int32), keys)


@functools.partial(program, static_argnums=0)
@full_precision
def advance(problem: MaskProblem, states: MaskState, data: SubTaskData, rates: Rates, num_steps: Any) -> MaskState:
    """Masks after so many steps more; unchecked."""

    def one(state: MaskState, data: SubTaskData, rates: Rates, num_steps: Array) -> MaskState:
        own = data._replace(params=jax.tree.map(lambda leaf: leaf[state.network], data.params))
        return jax.lax.fori_loop(0, num_steps, lambda _, state: _step(problem, state, own, rates), state)

    shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(states.logits)]
    devices = problem.mesh.size if problem.mesh else 1
    size = networks_at_once(shapes * problem.num_samples, len(states.network), devices)
    return grouped_map(one, states, data, rates, num_steps, group_size=size, mesh=problem.mesh)


@functools.partial(program, static_argnums=0)
def _train(problem: MaskProblem, params: Any, x: Any, y: Any, key: Array, rates: Rates, num_steps: Any) -> Any:
    """Logits [T, ...] of one network."""
    sub_task = np.arange(x.shape[0], dtype=np.int32)
    keys = jax.vmap(functools.partial(jax.random.fold_in, key))(sub_task)
    data = SubTaskData(jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params), x, y)
    states = start(data.params, np.zeros_like(sub_task), sub_task, keys)
    return advance(problem, states, data, rates, num_steps).logits


def _step(problem: MaskProblem, state: MaskState, data: SubTaskData, rates: Rates) -> MaskState:
    """One step of one mask, of the network whose params data has."""
    key = jax.random.fold_in(state.keys, state.moments.count)
    batch_key, *part_keys = jax.random.split(key, 1 + problem.num_samples)
    shape = problem.num_samples, problem.batch_size // problem.num_samples
    drawn = state.sub_task * data.x.shape[1] + jax.random.randint(batch_key, shape, 0, data.x.shape[1])
    x, y = (values.reshape(-1, *values.shape[2:])[drawn] for values in (data.x, data.y))

    def gradient(part: tuple[Array, Array, Array], params: Any, logits: Any) -> Any:
        key, x, y = part

        def loss(logits: Any) -> Array:
            return problem.loss(problem.apply(_times(params, draw(logits, key)), x), y).sum() / problem.batch_size

        return jax.grad(loss)(logits)

    size = 1 if on_cpu() else problem.num_samples
    parts = grouped_map(gradient, (jnp.stack(part_keys), x, y), data.params, state.logits, group_size=size)
    gradients = jax.tree.map(lambda leaf: leaf.sum(axis=0) + rates.alpha / problem.batch_size, parts)
    norm = jnp.sqrt(sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(gradients)))
    gradients = jax.tree.map(lambda leaf: leaf * jnp.minimum(1, MAX_NORM / norm), gradients)
    updates, moments = adam_step(gradients, state.moments, rates.learning_rate, epsilon=EPSILON)
    return state._replace(logits=jax.tree.map(jnp.add, state.logits, updates), moments=moments)


def draw(logits: Any, key: Array) -> Any:
    """Masks of 0 and 1 for logits of any shapes, 1 with probability sigmoid(l).

    Of s = sigmoid(l + g), g logistic, the mask is [s > 1/2] and has the derivative of s, s (1 - s): straight through.
    Its mean is that of the mean of s, not of sigmoid(l), whose derivative is larger (1/4 instead of 1/6 at l = 0).
    """
    leaves, structure = jax.tree.flatten(logits)
    keys = jax.random.split(key, len(leaves))
    soft = [
        jax.nn.sigmoid(leaf + jax.random.logistic(own, leaf.shape, leaf.dtype))
        for own, leaf in zip(keys, leaves, strict=True)
    ]
    # s + (hard - s) is exact: both differences are, near 0 and 1.
    return jax.tree.unflatten(structure, [s + jax.lax.stop_gradient((s > 0.5).astype(s.dtype) - s) for s in soft])


def _times(params: Any, masks: Any) -> Any:
    """The params, with the entries that masks have times those; None leaves a leaf as it is."""

    def times(mask: Any, leaf: Any) -> Any:
        if mask is None:
            return leaf
        if mask.shape != leaf.shape:
            raise ValueError(f"masks must have the shapes of the params, got {mask.shape} for {leaf.shape}")
        return leaf * mask.astype(leaf.dtype)

    return jax.tree.map(times, masks, params, is_leaf=lambda mask: mask is None)


def _kernels(params: Any, num_axes: int = 0) -> Any:
    """The floating leaves of two or more axes, beyond so many leading ones; None for the others."""

    def is_kernel(leaf: Any) -> bool:
        return np.ndim(leaf) >= 2 + num_axes and jnp.issubdtype(leaf.dtype, jnp.floating)

    return jax.tree.map(lambda leaf: leaf if is_kernel(leaf) else None, params)


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
