"""Routers on rules that are known (Mittal et al. 2022): one perceptron, experts that learn to route, routed experts."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

import modularity_jax as mj
from experiments.known_modules.tables import short
from experiments.pieces import rows_of
from modularity_jax.data import rules
from modularity_jax.data.known import Known
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.models import architecture_of
from modularity_jax.nets.models.experts import gate_probabilities
from modularity_jax.nets.sweep import seed_mesh, train_seeds
from modularity_jax.nets.training import Samples
from modularity_jax.runs import signals
from modularity_jax.runs.progress import Progress
from modularity_jax.runs.tables import Row, write_csv

#: The models by their name in the table, as `model.name` takes them.
MODELS = {"monolithic": "mlp", "modular": "experts", "oracle": "routed_experts"}
HIDDEN = 32  # units, of all experts together


@dataclasses.dataclass(frozen=True)
class RouterSizes:
    """How much is done."""

    num_rules: tuple[int, ...] = (2, 4, 8)  # and as many experts
    num_seeds: int = 10
    epochs: int = 30


FULL = RouterSizes()
#: The figures mean nothing.
QUICK = RouterSizes((2,), 2, 1)


def run(root: pathlib.Path, sizes: RouterSizes) -> list[Row]:
    """The rows of `routing.csv`, which is written below root; what is finished is not done again.

    Raises:
      StoppedError: between two numbers of rules, if it was asked to stop; what was finished is kept.
    """
    settings, rows = {"seeds": sizes.num_seeds, "epochs": sizes.epochs, "hidden": HIDDEN}, []
    with Progress("routers", len(sizes.num_rules)) as progress:
        for count in sizes.num_rules:
            rows += rows_of(root / "pieces", f"{count} rules", settings, functools.partial(_rows, count, sizes))
            progress.advance(f"{count} rules")
            signals.check()
    write_csv(root / "routing.csv", rows, list(rows[0]))
    return rows


def markdown(rows: Sequence[Row]) -> str:
    """A line for each number of rules and model: means over seeds, and standard deviations."""
    names = [name.removesuffix("_std") for name in rows[0] if name.endswith("_std")]
    lines = [["rules", "model", *(name.replace("_", " ") for name in names)], ["---"] * (2 + len(names))]
    lines += [[str(row["rules"]), row["model"], *(_cell(row, name) for name in names)] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(row: Row, name: str) -> str:
    decimals = 2 if name in mj.RoutingScores._fields else 3
    return "" if row[name] is None else " ± ".join(short(row[part], decimals) for part in (name, f"{name}_std"))


def _rows(num_rules: int, sizes: RouterSizes) -> Iterator[Row]:
    """A row for each model."""
    known = rules.load(num_rules)
    for label, name in MODELS.items():
        row: Row = {"rules": num_rules, "model": label, "networks": sizes.num_seeds}
        for field, own in _measured(known, name, num_rules, sizes).items():
            row |= {field: None if own is None else float(np.mean(own))}
            row |= {f"{field}_std": None if own is None else float(np.std(own))}
        yield row


def _measured(known: Known, name: str, num_rules: int, sizes: RouterSizes) -> dict[str, np.ndarray | None]:
    """Accuracy, loss and routing scores [S] on test samples; None of a model without a router."""
    samples = Samples(*map(jnp.asarray, known.data[:4]))
    experts = () if name == MODELS["monolithic"] else (num_rules,)
    model = ModelConfig((known.inputs.size, HIDDEN, *experts, known.data.num_classes), name)
    train = TrainConfig(num_seeds=sizes.num_seeds, epochs=sizes.epochs, batch_size=64, learning_rate=3e-3)
    *_, last = train_seeds(samples, model=model, train=train, prune=PruneConfig(0), mesh=seed_mesh())
    found: dict[str, np.ndarray | None] = dict.fromkeys(mj.RoutingScores._fields)
    if experts:
        gates = jax.jit(
            jax.vmap(functools.partial(gate_probabilities, architecture_of(model).module(model)), (0, None))
        )
        assignments = mj.gate_assignment(gates(last.params, samples.x_test), np.asarray(known.groups))
        found = mj.routing_scores(assignments)._asdict()
    return {"accuracy": np.asarray(last.metrics.test_accuracy), "loss": np.asarray(last.metrics.test_loss), **found}
