"""Networks of a task, all seeds in one program, and masks of all sub-tasks and networks, in another."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import modularity_jax as mj
from experiments.sub_tasks.tasks import Sizes, Task
from modularity_jax.data.dataset import Split
from modularity_jax.data.known import Known, by_group
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.models import apply, architecture_of
from modularity_jax.nets.sweep import network_keys, seed_mesh, train_seeds
from modularity_jax.nets.training import Samples, steps_per_epoch
from modularity_jax.parallel import gather
from modularity_jax.probes.masks import Predict

BATCH = 128
# Seeds of the masks' keys, the networks' being 0: what differs between the two is what training leaves open.
MASK_SEEDS = (1, 2)


class Trained(NamedTuple):
    """S networks with their masks, of T sub-tasks and of all together, which come last."""

    apply: Predict
    params: Any  # leaves [S, ...]
    logits: tuple[Any, ...]  # of each of `MASK_SEEDS`, leaves [S, T + 1, ...]
    test: Split  # x [T, m, d], y [T, m]


def num_pieces(task: Task, sizes: Sizes) -> int:
    """How often `train` says that it goes on."""
    return _epochs(task.load(), task, sizes) + len(MASK_SEEDS)


def train(task: Task, sizes: Sizes, advance: Callable[[str], None]) -> Trained:
    """Networks, then masks."""
    known = task.load()
    model = ModelConfig((known.inputs.size, *task.hidden, known.outputs.size, known.data.num_classes), task.model)
    params = _networks(known, model, _epochs(known, task, sizes), sizes, advance)
    run = partial(apply, architecture_of(model).module(model))
    train_split, test_split = by_group(known)
    logits = []
    for seed in MASK_SEEDS:
        found = mj.train_masks(
            run,
            params,
            *with_all(train_split),
            network_keys(seed, np.arange(sizes.num_seeds)),
            alpha=task.alpha,
            num_steps=round(sizes.steps * task.num_steps),
            learning_rate=sizes.learning_rate,
            batch_size=BATCH,
            mesh=seed_mesh(),
        )
        logits.append(gather(found))
        advance("masks")
    return Trained(run, params, tuple(logits), test_split)


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
    return jax.tree.map(np.asarray, epoch.params)


def _epochs(known: Known, task: Task, sizes: Sizes) -> int:
    return max(1, round(sizes.steps * task.num_steps / steps_per_epoch(len(known.data.y_train), BATCH)))
