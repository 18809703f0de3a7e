"""Which cells a table has: the papers' figures, and the places for which they give none."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from modularity_jax.plug_points import entry
from modularity_jax.report.published import published
from modularity_jax.runs.sections import SCOPES
from modularity_jax.runs.tables import Row

NCUT_QUANTITIES = ("n-cut", "z layer", "z layer_nonzero", "test accuracy")


Q_QUANTITIES = ("Q", "Q z layer")
# Of a partitioning's networks: their p, the study's p, and their sub-modules' median effect, for each statistic.
SPECIALISATION_QUANTITIES = {
    f"{statistic.replace('_', ' ')} {name}": (statistic, column)
    for statistic in ("importance", "coherence", "input_coherence")
    for name, column in (("p", "p_network"), ("Fisher's p", "p_fisher"), ("effect", "median_effect"))
}


class Cell(NamedTuple):
    """One figure of a paper, and where ours is to be found."""

    config: str
    phase: str
    num_clusters: int
    quantity: str  # one of NCUT_QUANTITIES, Q_QUANTITIES or SPECIALISATION_QUANTITIES, or a lesion's, see `measured`
    mean: float | None = None  # None where the papers give no figure, or none in a form we have
    std: float | None = None  # over trainings, where it was published
    trainings: int | None = None
    source: str | None = None
    epoch: int | None = None  # of a learning curve
    setting: str | None = None  # of a config that sweeps one, such as "eigenvalue_weight=0.1"; or a partitioning

    @property
    def place(self) -> tuple[Any, ...]:
        """What tells it from other cells, whatever its figure."""
        return self.config, self.setting, self.phase, self.num_clusters, self.quantity, self.epoch


class Table(NamedTuple):
    """A table of the papers."""

    num_clusters: tuple[int, ...]
    num_seeds: int  # as many as the paper trained; where it shows one network, enough to see how far seeds scatter
    read: Callable[[], Iterable[Cell]]  # the published cells, of which the table takes those with its num_clusters
    phases: tuple[str, ...] = ("init", "unpruned", "pruned")
    configs: tuple[str, ...] = ()  # whose n-cuts are shown even where nothing is published
    curve_epochs: tuple[int, ...] = ()  # epochs of a learning curve; none for the figures at the ends of phases
    stage: str = "cluster"  # what measures it: "cluster", "lesion" or "specialise"
    measures: tuple[str, ...] = ("ncut",)
    methods: tuple[str, ...] = ("layer", "layer_nonzero")  # the first study's
    num_shuffles: int = 200  # or fewer, where the config has fewer


def cells(table: str) -> list[Cell]:
    """All cells of a table: those published, in the order of their file, then those that are not, config by config.

    Raises:
      ValueError: if the table is unknown.
    """
    wanted = table_of(table)
    found = [cell for cell in wanted.read() if cell.num_clusters in wanted.num_clusters and cell.phase in wanted.phases]
    places = {cell.place for cell in found}
    grid = itertools.product(wanted.configs, wanted.phases, wanted.num_clusters, NCUT_QUANTITIES)
    return found + [cell for cell in itertools.starmap(Cell, grid) if cell.place not in places]


def _ncut() -> Iterator[Cell]:
    for row in published("ncut.csv"):
        # Networks that were never trained do not depend on the data; they come with MNIST's.
        head = _config("mnist" if row["dataset"] == "none" else row["dataset"], row), row["phase"], row["k"]
        figures = zip(
            NCUT_QUANTITIES,
            ("ncut_mean", "layer_z_mean", "nonzero_z_mean", "test_accuracy"),
            (row["ncut_std"], None, None, None),
            strict=True,
        )
        for quantity, column, std in figures:
            if row[column] is not None:
                yield Cell(*head, quantity, row[column], std, row["trainings"], row["source"])


def _curve() -> Iterator[Cell]:
    for row in published("learning_curve.csv"):
        head = _config(row["dataset"], row), row["phase"], row["k"]
        yield Cell(*head, "n-cut", row["ncut"], None, row["trainings"], row["source"], row["epoch"])


def _lesions() -> Iterator[Cell]:
    for row in published("lesions.csv"):
        head = _config(row["dataset"], row), row["phase"], row["k"]
        yield Cell(*head, row["quantity"], row["mean"], row["std"], row["trainings"], row["source"])


# The second study's networks by config, and setting where that has several.
_FACTORS = {
    "mlp_control": ("mnist", None),
    "mlp_dropout": ("mnist_dropout", None),
    "mlp_l1": ("mnist_l1", None),
    "mlp_l2": ("mnist_l2", None),
    "mlp_clusterable_init": ("mnist_clusterable_init", None),
    "mlp_halves_same": ("halves_same", None),
    "mlp_halves": ("halves", None),
}
# Its penalty's published weight is 0.1, which acts as 0.05: the gradient is half of what it should be.
_PENALTY = {
    "mlp_control": ("mnist_7x7", None),
    "without": ("mnist_7x7_penalty", "eigenvalue_weight=0"),
    "mlp_eigenvalue_penalty": ("mnist_7x7_penalty", "eigenvalue_weight=0.05"),
    "as it says": ("mnist_7x7_penalty", "eigenvalue_weight=0.1"),
}


def _successors(networks: Mapping[str, tuple[str, str | None]], dataset: str) -> Iterator[Cell]:
    """The networks' cells, and the same without a figure for what is not published."""
    found = {(row["network"], row["phase"]): row for row in published("factors.csv") if row["dataset"] == dataset}
    for (network, (config, setting)), phase in itertools.product(networks.items(), _SECOND["phases"]):
        row = found.get((network, phase), {})
        figures = {
            "n-cut": (row.get("ncut_mean"), row.get("ncut_std")),
            "z layer": (row.get("layer_z_mean"), None),
            "test accuracy": (row.get("test_accuracy"), None),
            **dict.fromkeys(Q_QUANTITIES, (None, None)),
        }
        for quantity, (mean, std) in figures.items():
            trainings, source = (row["trainings"], row["source"]) if mean is not None else (None, None)
            yield Cell(config, phase, 12, quantity, mean, std, trainings, source, setting=setting)


def _specialisation() -> Iterator[Cell]:
    """The third study prints no figure for one of its partitionings; ours are shown."""
    for graph, scope, quantity in itertools.product(("weights", "activations"), SCOPES, SPECIALISATION_QUANTITIES):
        yield Cell("mnist_local", "unpruned", 16, quantity, setting=f"{graph} {scope}")


def _config(data: str, row: Row) -> str:
    return f"{data}_dropout" if row["dropout"] else data


_PAIRS = ("lines_mnist", "lines_cifar10", "mnist_cifar10")
_MIXTURES = tuple(
    f"{pair}{how}{dropout}" for pair in _PAIRS for how in ("", "_separated") for dropout in ("", "_dropout")
)
# The second study's, with layered modularity beside its n-cut.
_SECOND: dict[str, Any] = {
    "phases": ("unpruned", "pruned"), "measures": ("ncut", "modularity"), "methods": ("layer",), "num_shuffles": 50,
}  # fmt: skip
TABLES = {
    "ncut_k4": Table((4,), 10, _ncut),
    "ncut_k": Table((2, 4, 7, 10, 12), 10, _ncut, phases=("pruned",), configs=("mnist", "mnist_dropout")),
    "ncut_k12": Table((12,), 5, _ncut),
    "learning_curve": Table((4,), 5, _curve, curve_epochs=(5, 10, 15, 20)),
    "lesions": Table((10,), 5, _lesions, stage="lesion"),
    "factors": Table((12,), 5, lambda: _successors(_FACTORS, "mnist"), **_SECOND),
    "penalty": Table((12,), 10, lambda: _successors(_PENALTY, "mnist_7x7"), **_SECOND),
    "specialisation": Table((16,), 5, _specialisation, phases=("unpruned",), stage="specialise"),
    "mixtures": Table((4,), 5, tuple, phases=("unpruned", "pruned"), configs=_MIXTURES),
}


def table_of(name: str) -> Table:
    """An entry of `TABLES`, or by its dotted name one from elsewhere.

    Raises:
      ValueError: if the table is unknown.
    """
    return entry("table", name, TABLES)
