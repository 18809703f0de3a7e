"""Which module a hidden unit of a trained network works for: the one to which it matters most."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from experiments.known_modules.heads import answers, readout
from modularity_jax.data.known import Known

Array = jax.Array
Layers = Sequence[tuple[Array, Array]]  # kernel [a, b] and bias [b] of each

# A unit is one module's to which it matters so many times as much as to any other.
DOMINANCE = 2.0


def activations(layers: Layers, x: Array, gates: Sequence[Array] | None = None) -> list[Array]:
    """Of all units of a ReLU perceptron, by layer [n, d_l], inputs first; gates [d_l] multiply hidden layers'."""
    found = [x]
    for index, (kernel, bias) in enumerate(layers):
        z = found[-1] @ kernel + bias[None, :]
        if index < len(layers) - 1:
            z = jax.nn.relu(z) if gates is None else jax.nn.relu(z) * gates[index][None, :]
        found.append(z)
    return found


def hidden_labels(known: Known, layers: Layers) -> np.ndarray:
    """The modules [S, H] of hidden units of S networks, whose layers have a leading axis; -1 where none dominates.

    With several questions, or groups of samples, a module is what loses most when the unit is silenced. With a single
    question about two halves of the inputs, it is the half on which the unit depends most.
    """
    x = jnp.asarray(known.data.x_test)
    if known.inputs.max() < 0 and known.outputs.max() < 0:  # nothing has a module
        return np.full((len(layers[0][0]), sum(bias.shape[1] for _, bias in layers[:-1])), -1, np.int32)
    if known.groups is None and len(known.num_answers) == 1:
        return dominant(np.asarray(jax.jit(jax.vmap(lambda own: _dependence(own, x, known.inputs)))(layers)))
    given = answers(known.num_answers)
    right = given[None] == given[known.data.y_test][:, None]  # [m, C, questions]
    groups = np.zeros(len(x), int) if known.groups is None else known.groups
    shares = np.eye(groups.max() + 1)[groups] / np.bincount(groups)

    def roles(own: Layers) -> Array:
        return _silenced(own, x, readout(known.num_answers), right, shares.astype(np.float32))

    return dominant(np.asarray(jax.jit(jax.vmap(roles))(layers)))


def dominant(roles: np.ndarray) -> np.ndarray:
    """Of how much each of P modules matters [..., P], the one that does most; -1 where it is not `DOMINANCE` times."""
    second, most = np.moveaxis(np.sort(roles, axis=-1)[..., -2:], -1, 0)
    return np.where((most > 0) & (most >= DOMINANCE * second), roles.argmax(axis=-1), -1).astype(np.int32)


def _silenced(layers: Layers, x: Array, outputs: np.ndarray, right: np.ndarray, shares: np.ndarray) -> Array:
    """What each hidden unit's silence adds to the loss of each question in each group, [H, questions * groups]."""
    widths = [bias.size for _, bias in layers[:-1]]

    def losses(gates: Array) -> Array:
        logits = activations(layers, x, jnp.split(gates, np.cumsum(widths)[:-1]))[-1] @ outputs
        chance = jax.nn.log_softmax(logits)[:, :, None]
        lost = -jax.nn.logsumexp(jnp.broadcast_to(chance, right.shape), axis=1, where=right)
        return (lost.T @ shares).ravel()

    size = sum(widths)
    silent = jax.lax.map(lambda unit: losses((jnp.arange(size) != unit).astype(x.dtype)), jnp.arange(size))
    return silent - losses(jnp.ones(size, x.dtype))[None, :]


def _dependence(layers: Layers, x: Array, inputs: np.ndarray) -> Array:
    """Mean squared change of each hidden unit where a module's inputs are another sample's, [H, modules]."""

    def hidden(x: Array) -> Array:
        return jnp.concatenate(activations(layers, x)[1:-1], axis=1)

    others = jnp.roll(x, 1, axis=0)
    changed = [jnp.where((inputs == module)[None, :], others, x) for module in range(inputs.max() + 1)]
    return jnp.stack([((hidden(own) - hidden(x)) ** 2).mean(axis=0) for own in changed], axis=1)
