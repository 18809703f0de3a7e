"""The sections of a run's settings that are not the network's: data, activations, and one for each stage."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from modularity_jax.graphs.activations import CORRELATIONS
from modularity_jax.graphs.checks import check_choice
from modularity_jax.graphs.conv import NORMS
from modularity_jax.metric.embedding import SOLVERS
from modularity_jax.metric.measures import MEASURES
from modularity_jax.metric.methods import METHODS
from modularity_jax.metric.partition import SELECTIONS
from modularity_jax.nets.config import MAX_COUNT, MAX_EPOCHS, MAX_GROUP, check_between
from modularity_jax.nets.graphs import ACTIVATION_GRAPHS, GRAPHS
from modularity_jax.plug_points import entry
from modularity_jax.probes.verdicts import CORRECTIONS

MAX_RESTARTS = 10_000  # all starts of k-means are held at once
MAX_LESIONS = 100_000  # all controls of a network's lesions are held at once
SPLITS = ("train", "test")
SCOPES = ("global", "local")

_GRAPHS: Mapping[str, Any] = GRAPHS | ACTIVATION_GRAPHS
_REGISTRIES: dict[str, Mapping[str, Any]] = {"graphs": _GRAPHS, "measures": MEASURES, "methods": METHODS}


def _drop_repeats(section: Any, *names: str) -> None:
    """An entry that is given twice is asked for once; the tables have one row for it."""
    for name in names:
        object.__setattr__(section, name, tuple(dict.fromkeys(getattr(section, name))))


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The data set."""

    name: str = "mnist"  # see `modularity_jax.data.load`
    dir: str = ""  # folder with IDX files; empty takes TensorFlow Datasets
    num_train: int = 0  # the first so many training samples; 0 takes all

    def __post_init__(self) -> None:
        check_between("data.num_train", self.num_train, 0, MAX_COUNT)


@dataclasses.dataclass(frozen=True)
class ClusterConfig:
    """The clustering and its controls."""

    phases: tuple[str, ...] = ("all",)  # which networks: phases of the recipe, or "all"
    graphs: tuple[str, ...] = ("weights",)  # of a network, or "balanced": with kernels of one total each; see `GRAPHS`
    measures: tuple[str, ...] = ("ncut",)  # see `modularity_jax.MEASURES`
    num_clusters: tuple[int, ...] = (4, 12)  # the two that the papers test
    methods: tuple[str, ...] = ("layer", "layer_nonzero")  # controls, see `modularity_jax.shuffle`
    num_shuffles: int = 200  # per network, k and method; the least p-value is 1 / (1 + this)
    num_restarts: int = 10  # k-means starts, as in the papers
    selection: str = "inertia"  # which start is kept, as in the papers; "ncut" is the library's own default
    solver: str = "auto"  # of the eigenvectors
    refine: bool = False  # as in the papers; True is the library's own default, and finds a lower n-cut
    shuffles_per_group: int = 0  # controls under one vmap; 0 (auto): 1 on CPU cores, what fills an accelerator
    curve_epochs: tuple[int, ...] = ()  # of each phase, for learning_curve.csv, besides its last; none leaves it out

    def __post_init__(self) -> None:
        check_between("cluster.num_shuffles", self.num_shuffles, 1, MAX_COUNT)
        check_between("cluster.num_restarts", self.num_restarts, 1, MAX_RESTARTS)
        check_between("cluster.shuffles_per_group", self.shuffles_per_group, 0, MAX_GROUP)
        _drop_repeats(self, "phases", "graphs", "measures", "num_clusters", "methods", "curve_epochs")
        for name in ("phases", "graphs", "measures", "num_clusters", "methods"):
            if not getattr(self, name):
                raise ValueError(f"cluster.{name} must hold at least one entry, got none")
        for name, known in _REGISTRIES.items():
            for value in getattr(self, name):
                entry(f"cluster.{name}", value, known)
        for count in self.num_clusters:
            check_between("cluster.num_clusters", count, 2, MAX_COUNT)
        for epoch in self.curve_epochs:
            check_between("cluster.curve_epochs", epoch, 0, MAX_EPOCHS)
        check_choice("cluster.selection", self.selection, SELECTIONS)
        check_choice("cluster.solver", self.solver, SOLVERS)


@dataclasses.dataclass(frozen=True)
class LesionConfig:
    """The lesion tests; labels come from the clustering's settings at a number of clusters of their own."""

    phases: tuple[str, ...] = ("last",)  # which networks: phases of the recipe, or "last"
    num_clusters: int = 10  # the study's
    num_shuffles: int = 100  # controls of each sub-module, the study's; 0 leaves out all lesions
    joint: int = 50  # controls of each pair damaged together, the study's; 0 leaves this test out
    conditional: int = 50  # controls of each pair a given b, the study's; 0 leaves this test out
    correction: str = "max_t"  # of p-values for the number of tests in a network; or "holm"
    samples_per_batch: int = 0  # test samples that go through together; 0 (auto): 125 on CPU cores, else as above

    def __post_init__(self) -> None:
        for name in ("num_shuffles", "joint", "conditional"):
            check_between(f"lesion.{name}", getattr(self, name), 0, MAX_LESIONS)
        check_between("lesion.num_clusters", self.num_clusters, 2, MAX_COUNT)
        check_between("lesion.samples_per_batch", self.samples_per_batch, 0, MAX_COUNT)
        _drop_repeats(self, "phases")
        check_choice("lesion.correction", self.correction, CORRECTIONS)


@dataclasses.dataclass(frozen=True)
class ActivationsConfig:
    """What graphs of activations are made of, and what excites sub-modules."""

    split: str = "train"  # the samples are of the training set; or "test"
    num_samples: int = 5000  # drawn at random; 0 takes all
    before_relu: bool = True  # the units' values before their nonlinearity, as 2110.08058 has it
    norm: str = "max_column"  # of a channel's values at all places, see `unit_activations`
    correlation: str = "spearman"  # or "pearson"; an edge is its square
    cross_validated: bool = False  # an edge is the product of the correlations of two halves of the samples

    def __post_init__(self) -> None:
        check_choice("activations.split", self.split, SPLITS)
        check_between("activations.num_samples", self.num_samples, 0, MAX_COUNT)
        check_choice("activations.norm", self.norm, NORMS)
        check_choice("activations.correlation", self.correlation, tuple(CORRELATIONS))


@dataclasses.dataclass(frozen=True)
class SpecialisationConfig:
    """Which partitions pick out units that matter together and specialise (2110.08058), and by how many controls."""

    phases: tuple[str, ...] = ("last",)  # which networks: phases of the recipe, or "last"
    graphs: tuple[str, ...] = ("weights", "activations")  # whose clusters are the modules
    scopes: tuple[str, ...] = SCOPES  # clusters of all layers together, and of each layer with those beside it
    num_clusters: int = 16  # the study's, of all layers together; a layer alone has as many as it has labels of those
    num_shuffles: int = 0  # controls of each sub-module; 0 leaves all of it out
    first_shuffles: int = 19  # the study's controls, the first of those: the tables have both
    num_samples: int = 3000  # the first of the test set, on which modules are damaged; 0 takes all
    num_top: int = 100  # samples that excite a sub-module most, whose classes are looked at

    def __post_init__(self) -> None:
        check_between("specialisation.num_clusters", self.num_clusters, 2, MAX_COUNT)
        check_between("specialisation.num_shuffles", self.num_shuffles, 0, MAX_LESIONS)
        check_between("specialisation.first_shuffles", self.first_shuffles, 1, MAX_LESIONS)
        check_between("specialisation.num_samples", self.num_samples, 0, MAX_COUNT)
        check_between("specialisation.num_top", self.num_top, 1, MAX_COUNT)
        _drop_repeats(self, "phases", "graphs", "scopes")
        for scope in self.scopes:
            check_choice("specialisation.scopes", scope, SCOPES)
        for graph in self.graphs:
            entry("specialisation.graphs", graph, _GRAPHS)
