"""Networks that do several things, by name, at sizes of one or two digits (Csordas et al. 2021, table of settings)."""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

from experiments.known_modules.heads import NAMES, SHOWN
from modularity_jax.data import arithmetic, permuted
from modularity_jax.data.known import Known


class Task(NamedTuple):
    """Networks of a task, and masks of its sub-tasks, which are its groups of samples."""

    load: Callable[[], Known]
    model: str  # `model.name`
    names: tuple[str, ...]  # of the sub-tasks
    alpha: float  # the penalty, for a batch of 128
    hidden: tuple[int, ...] = (128, 128)
    num_steps: int = 3_000  # of the networks, and of the masks


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much is done."""

    num_seeds: int = 5  # networks of a task
    steps: float = 1.0  # a share of the tasks' own
    learning_rate: float = 1e-2  # of the masks
    tasks: tuple[str, ...] = ("double addition", "add and multiply", "permuted digits")


FULL = Sizes()
#: The figures mean nothing.
QUICK = Sizes(2, 0.02, 0.1)

_PAIRS, _OPERATORS = ("first pair", "second pair"), ("add", "multiply")

#: The tasks, by their name in the tables. Those of two digits have the published settings, and want an accelerator.
TASKS: dict[str, Task] = {
    "double addition": Task(arithmetic.double_addition, SHOWN[1], _PAIRS, 4e-4),
    "add and multiply": Task(arithmetic.add_multiply, NAMES[10,], _OPERATORS, 1e-4),
    "permuted digits": Task(permuted.load, NAMES[10,], ("order 0", "order 1", "order 2", "order 3"), 1.28e-3),
    "double addition, 2 digits": Task(
        functools.partial(arithmetic.double_addition, 2), SHOWN[2], _PAIRS, 4e-4, (800,) * 4, 20_000
    ),
    "add and multiply, 2 digits": Task(
        functools.partial(arithmetic.add_multiply, 2), NAMES[10, 10], _OPERATORS, 1e-4, (400, 400, 200), 20_000
    ),
}
