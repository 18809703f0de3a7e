"""Networks of a task, and masks of all its sub-tasks: a program for the networks of all seeds, one for all masks."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.sub_tasks.tasks import Sizes, Task
from modularity_jax.data.dataset import Split
from modularity_jax.data.known import Known, by_group
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.models import apply, architecture_of
from modularity_jax.nets.sweep import network_keys, seed_mesh, train_seeds
from modularity_jax.nets.training import Samples, steps_per_epoch
from modularity_jax.parallel import gather
from modularity_jax.probes import masks
from modularity_jax.probes.masks import MaskProblem, MaskState, Predict, Rates, SubTaskData

# Of networks and masks; and steps of masks between two signs of life.
BATCH, CHUNK = 128, 100
NUM_PARTS = 4
# Each mask is trained by so many keys: what differs between them is what training leaves open.
NUM_KEYS = 2
_KEYS_SEED = 1  # the networks' is 0


class Trained(NamedTuple):
    """S networks with their masks, of T sub-tasks and of all together, which come last."""

    apply: Predict
    params: Any  # leaves [S, ...]
    logits: Any  # leaves [S, NUM_KEYS, T + 1, ...]
    test: Split  # x [T, m, d], y [T, m]


def num_pieces(task: Task, sizes: Sizes) -> int:
    """How often `train` says that it goes on."""
    return _epochs(task.load(), task, sizes) + len(_chunks(task, sizes))


def train(task: Task, sizes: Sizes, advance: Callable[[str], None]) -> Trained:
    """Networks, then masks."""
    known = task.load()
    model = ModelConfig((known.inputs.size, *task.hidden, known.outputs.size, known.data.num_classes), task.model)
    params = _networks(known, model, _epochs(known, task, sizes), sizes, advance)
    run = functools.partial(apply, architecture_of(model).module(model))
    train_split, test_split = by_group(known)
    problem = MaskProblem(run, masks.cross_entropy, BATCH, NUM_PARTS, seed_mesh())
    data = SubTaskData(params, *with_all(train_split))
    states = _first_states(params, len(data.x), sizes.num_seeds)
    for steps in _chunks(task, sizes):
        rates = Rates(np.float32(task.alpha), np.float32(sizes.learning_rate))
        found = masks.advance(problem, states, data, rates, np.int32(steps))
        states = gather(found._replace(keys=None))._replace(keys=states.keys)  # from the host: one program for all
        advance("masks")
    shape = sizes.num_seeds, NUM_KEYS, len(data.x)
    return Trained(
        run, params, jax.tree.map(lambda leaf: leaf.reshape(*shape, *leaf.shape[1:]), states.logits), test_split
    )


def with_all(split: Split) -> Split:
    """Samples [T, n, ...] of sub-tasks and, last, of all of them: [T + 1, T n, ...]."""
    count = len(split.x)

    def joined(values: np.ndarray) -> np.ndarray:
        own = np.concatenate([values] * count, axis=1)
        return np.concatenate([own, values.reshape(1, -1, *values.shape[2:])])

    return Split(joined(split.x), joined(split.y))


def _networks(known: Known, model: ModelConfig, epochs: int, sizes: Sizes, advance: Callable[[str], None]) -> Any:
    """Parameters of all seeds, leaves [S, ...] on the host."""
    samples = Samples(*map(jnp.asarray, known.data[:4]))
    settings = TrainConfig(num_seeds=sizes.num_seeds, epochs=epochs, batch_size=BATCH)
    for epoch in train_seeds(samples, model=model, train=settings, prune=PruneConfig(0), mesh=seed_mesh()):
        if epoch.epoch:
            advance("networks")
    return epoch.params


def _first_states(params: Any, num_tasks: int, num_seeds: int) -> MaskState:
    network, key, sub_task = (own.ravel() for own in np.indices((num_seeds, NUM_KEYS, num_tasks)))
    keys = network_keys(_KEYS_SEED, network)
    for number in (key, sub_task):
        keys = jax.vmap(jax.random.fold_in)(keys, number)
    return masks.start(params, network, sub_task, keys)


def _epochs(known: Known, task: Task, sizes: Sizes) -> int:
    each = steps_per_epoch(len(known.data.y_train), BATCH)
    return max(1, round(sizes.steps * task.num_steps / each))


def _chunks(task: Task, sizes: Sizes) -> list[int]:
    """Steps of the masks, a number for each call."""
    steps = max(1, round(sizes.steps * task.num_steps))
    return [min(CHUNK, steps - done) for done in range(0, steps, CHUNK)]
