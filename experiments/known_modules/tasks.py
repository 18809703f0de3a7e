"""The tasks by name: networks whose modules are known, and their twins that have none."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.known_modules.networks import Networks, padded, side_by_side, trained, without_training
from modularity_jax.data import digits, functions, pairs, retina, rules
from modularity_jax.data.known import Known, halves, mixed, task
from modularity_jax.data.planted import modules, planted
from modularity_jax.nets.config import PruneConfig, TrainConfig

Widths = tuple[int, ...]

# Tasks of one shape share their programs.
SMALL, LARGE = (32, 32, 32, 32), (128, 128, 128, 20)
UNEVENNESS = 0.5


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is done."""

    num_seeds: int = 10  # networks of a task
    num_twins: int = 500  # planted networks without modules
    num_controls: int = 19
    epochs: float = 1.0  # of training, as a share of the tasks' own
    tasks: tuple[str, ...] = ()  # all if there are none
    curves: tuple[tuple[int, int], ...] = ((3, 2), (3, 4), (5, 2), (5, 4))  # kernels and modules
    curve_seeds: int = 5  # networks at each point
    shares: tuple[float, ...] = (0.02, 0.06, 0.08, 0.09, 0.1, 0.12, 0.15, 0.2, 0.24, 0.26, 0.3, 0.35, 0.4)


FULL = Sizes()
#: The figures mean nothing.
QUICK = Sizes(2, 4, 3, 0.1, ("planted, 3 kernels", "retina", "no modules"), ((3, 2),), 2, (0.02, 0.4))


class Task(NamedTuple):
    """Networks of one shape; a twin has no modules to be found."""

    make: Callable[[Sizes], Networks]
    num_modules: int = 2
    twin: bool = False


def plant(count: int, share: float | None, widths: Widths, num_modules: int, **how: Any) -> Networks:
    """Planted networks, or of share None such without modules."""
    how |= {"width": widths[0], "num_kernels": len(widths) - 1, "num_modules": num_modules}
    truth = modules(widths, num_modules)
    keys = jax.random.split(jax.random.key(len(widths)), count)
    kernels = jax.vmap(lambda key: planted(key, share, **how))(keys)
    return without_training(kernels, truth if share is not None else np.full_like(truth, -1))


def _planted(share: float | None, widths: Widths, **how: Any) -> Task:
    twin = share is None

    def make(sizes: Sizes) -> Networks:
        count = sizes.num_twins if twin else sizes.num_seeds
        return padded(plant(count, share, widths, 2, **how), SMALL if len(widths) == len(SMALL) else widths)

    return Task(make, twin=twin)


def _trained(
    load: Callable[[], Known],
    hidden: tuple[int, int],
    *,
    epochs: int,
    sparsity: float = 0.7,
    shape: Widths = SMALL,
    num_modules: int = 2,
    twin: bool = False,
    **train: Any,
) -> Task:
    """Networks that are pruned more and more while they are trained."""
    return Task(
        lambda sizes: padded(_train(load(), hidden, sizes, epochs, sparsity, **train), shape), num_modules, twin
    )


def _train(known: Known, hidden: tuple[int, int], sizes: Sizes, epochs: int, sparsity: float, **train: Any) -> Networks:
    count = train.pop("num_seeds", sizes.num_seeds)
    settings = TrainConfig(num_seeds=count, epochs=0, seeds_per_group=-(-count // jax.device_count()), **train)
    prune = PruneConfig(max(1, round(sizes.epochs * epochs)), initial_sparsity=0.0, final_sparsity=sparsity)
    return trained(known, hidden, settings, prune)


def _beside(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of images [n, d] and digits [n, 1] as many pairs, of which the second are all in reverse order."""
    return np.concatenate([x, x[::-1]], axis=1), np.concatenate([y, y[::-1]], axis=1)


def _fused(share: float, *, twin: bool = False) -> Task:
    def make(sizes: Sizes) -> Networks:
        data = digits.load()
        one = (data.x_train, data.y_train[:, None]), (data.x_test, data.y_test[:, None])
        known = task(*one, (10,), np.full(64, -1))
        two = _train(known, (64, 64), sizes, 20, 0.0, num_seeds=2 * sizes.num_seeds, learning_rate=3e-3)
        both = task(_beside(*one[0]), _beside(*one[1]), (10, 10), halves(128))
        fused = side_by_side(two, share)._replace(known=both)
        return padded(fused, LARGE)

    return Task(make, twin=twin)


_SMALL: dict[str, Any] = {"epochs": 30, "learning_rate": 1e-2, "batch_size": 64}
_RETINA: dict[str, Any] = _SMALL | {"hidden": (16, 8), "l1_penalty": 1e-3}
_PAIRS: dict[str, Any] = {"hidden": (64, 64), "shape": LARGE, "sparsity": 0.9, "learning_rate": 3e-3, "epochs": 20}
_SUMS = _PAIRS | {"sparsity": 0.7}  # with fewer weights half of the sums are wrong

#: The tasks, by their name in the tables.
TASKS: dict[str, Task] = {
    "planted, 3 kernels": _planted(0.3, (32,) * 4),
    "planted, 5 kernels": _planted(0.15, (32,) * 6),
    "planted, uneven": _planted(0.15, (32,) * 6, unevenness=UNEVENNESS),
    "fused": _fused(0.3),
    "retina": _trained(retina.load, **_RETINA),
    "retina, and": _trained(lambda: retina.load("and"), **_RETINA),
    "pairs": _trained(pairs.load, **_PAIRS),
    "pairs, sum": _trained(lambda: pairs.load("sum"), **_SUMS),
    "rules": _trained(rules.load, (32, 32), num_modules=4, **_SMALL),
    "functions": _trained(functions.load, (32, 32), **_SMALL),
    "functions, sum": _trained(lambda: functions.load("sum"), (32, 32), **_SMALL),
    "no modules": _planted(None, (16,) * 4),
    "no modules, uneven": _planted(None, (16,) * 4, unevenness=UNEVENNESS),
    "fused half and half": _fused(0.5, twin=True),
    "pairs, sum, mixed": _trained(lambda: mixed(pairs.load("sum")), twin=True, **_SUMS),
    "functions, sum, mixed": _trained(lambda: mixed(functions.load("sum")), (32, 32), twin=True, **_SMALL),
}
