"""Settings of the network, its training and its pruning; the defaults are the study's (MNIST, no dropout)."""

import dataclasses

import numpy as np

from modularity_jax.graphs.checks import check_at_least, check_choice

ON_NAN = ("mark", "fail")
MAX_COUNT = 2**31 - 1  # counts are int32 on the device
MAX_SEED = 2**32 - 1  # without x64 JAX takes a seed's lower 32 bits, so larger ones would repeat the runs of smaller
MAX_SEEDS = 100_000  # files number networks with five digits
MAX_EPOCHS = 1_000_000  # the plan of a phase is held in memory
MAX_GROUP = 65_536  # items under one vmap, which multiplies all shapes
MAX_LAYERS = 101  # of neurons: kernels are numbered with two digits, and in that order everywhere
_FLOAT32 = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network."""

    widths: tuple[int, ...] = (784, 256, 256, 256, 256, 10)  # neurons per layer, inputs and classes included
    name: str = "mlp"  # the architecture, of `nets.models.MODELS`, or package.module.NAME
    dropout_rate: float = 0.0  # after each hidden layer; the study's dropout variant takes 0.5
    wiring: str = ""  # of networks that are given, "SOURCE -> TARGET; ..."; widths are then of these groups of units
    weights: str = ""  # the digest of such networks

    def __post_init__(self) -> None:
        _check_below("model.dropout_rate", self.dropout_rate, 0, 1)
        if self.wiring:
            return
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"model.widths must be at least two layers of at least one neuron, got {self.widths}")
        if len(self.widths) > MAX_LAYERS:
            raise ValueError(f"model.widths must be at most {MAX_LAYERS} layers, got {len(self.widths)}")
        weights = sum(int(a) * int(b) for a, b in zip(self.widths, self.widths[1:], strict=False))
        if weights > MAX_COUNT:
            raise ValueError(f"model.widths must give at most {MAX_COUNT} weights, got {self.widths} with {weights}")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The unpruned phase, and what both phases share."""

    num_seeds: int = 10  # networks trained side by side
    seed: int = 0  # of the run, below 2^32; network i's randomness is fold_in(key(seed), i)
    epochs: int = 20  # of the unpruned phase; 0 leaves the initial network
    batch_size: int = 128  # the last, shorter batch of an epoch is used
    learning_rate: float = 1e-3  # Adam's
    l1_penalty: float = 0.0  # times the sum of |kernel entries|, and
    l2_penalty: float = 0.0  # times that of their squares, are added to the loss of both phases (2103.03386: 5e-5)
    eigenvalue_weight: float = 0.1  # of recipes with eigenvalue_penalty: times the mean of the graph's least
    num_eigenvalues: int = 3  # so many eigenvalues, beyond the trivial ones,
    eigenvalues_every: int = 1  # in every such step, which then counts as often
    init_modules: int = 10  # of the recipe clusterable_init: modules that units draw, and what
    init_outside: float = 0.6  # weights between two of them are multiplied by (2103.03386; 0.8 for convolutions)
    augment: bool = False  # turns, shifts and mirrors square images at random in training, see `nets.augmentation`
    reshuffle: bool = True  # False takes the samples in their own order in every epoch: the study's overfitted networks
    on_nan: str = "mark"  # a network whose loss is not finite is marked and left out; "fail" stops the run instead
    recipe: str = "train_then_prune"  # phases, optimiser and penalty, of `nets.recipes.RECIPES`, or package.module.NAME
    seeds_per_group: int = 0  # networks under one vmap; 0 (auto): 1 on CPU cores, what fills an accelerator

    def __post_init__(self) -> None:
        check_between("train.num_seeds", self.num_seeds, 1, MAX_SEEDS)
        check_between("train.seed", self.seed, 0, MAX_SEED)
        check_between("train.epochs", self.epochs, 0, MAX_EPOCHS)
        check_between("train.batch_size", self.batch_size, 1, MAX_COUNT)
        check_between("train.seeds_per_group", self.seeds_per_group, 0, MAX_GROUP)
        for name in ("num_eigenvalues", "eigenvalues_every", "init_modules"):
            check_between(f"train.{name}", getattr(self, name), 1, MAX_COUNT)
        check_choice("train.on_nan", self.on_nan, ON_NAN)
        if not self.learning_rate > 0:
            raise ValueError(f"train.learning_rate must be above 0, got {self.learning_rate}")
        for name in ("learning_rate", "l1_penalty", "l2_penalty", "eigenvalue_weight", "init_outside"):
            _check_float32(f"train.{name}", getattr(self, name))


@dataclasses.dataclass(frozen=True)
class PruneConfig:
    """The pruning phase, which goes on from the trained weights with a fresh optimiser state."""

    epochs: int = 20  # 0 leaves out the phase
    initial_sparsity: float = 0.5  # share of each kernel that is 0 at the phase's first step
    final_sparsity: float = 0.9  # and at its last
    frequency: int = 10  # steps between two masks

    def __post_init__(self) -> None:
        check_between("prune.epochs", self.epochs, 0, MAX_EPOCHS)
        check_between("prune.frequency", self.frequency, 1, MAX_COUNT)
        _check_below("prune.initial_sparsity", self.initial_sparsity, 0, 1)
        _check_below("prune.final_sparsity", self.final_sparsity, self.initial_sparsity, 1)


def check_between(name: str, value: int, least: int, most: int) -> None:
    """A count in [least, most].

    Raises:
      ValueError: that names the setting and what it got.
    """
    check_at_least(name, value, least)
    if value > most:
        raise ValueError(f"{name} must be at most {most}, got {value}")


def _check_float32(name: str, value: float) -> None:
    """A number of at least 0 that would become neither 0 nor infinite in training, if it is not 0 already."""
    low, high = _FLOAT32
    if value != 0 and not (low <= value <= high):
        raise ValueError(f"{name} must be 0 or a number that float32 holds, {low:.3g} to {high:.3g}, got {value}")


def _check_below(name: str, value: float, low: float, high: float) -> None:
    """A number in [low, high)."""
    if not low <= value < high:
        raise ValueError(f"{name} must be at least {low} and below {high}, got {value}")
