"""A run's settings as frozen dataclasses, from and to plain nested dicts."""

import dataclasses
import difflib
import functools
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from modularity_jax.graphs.checks import check_choice
from modularity_jax.nets.config import MAX_SEEDS, ModelConfig, PruneConfig, TrainConfig, check_between
from modularity_jax.nets.hyperparameters import Network, settings_of
from modularity_jax.nets.models import architecture_of
from modularity_jax.nets.recipes import INIT, check_recipe, recipe_of
from modularity_jax.runs.plain_values import coerce
from modularity_jax.runs.sections import (
    ActivationsConfig,
    ClusterConfig,
    DataConfig,
    LesionConfig,
    SpecialisationConfig,
)
from modularity_jax.runs.sweeps import Setting, Swept, joined, settings_in, split_sweeps
from modularity_jax.runs.tensorboard import ReportConfig

# Fields that bound the memory of what is computed at once; they change rounding. "auto" is another word for their 0:
# `group_sizes` puts a number in its place before anything is computed.
GROUP_SIZES = ("train.seeds_per_group", "cluster.shuffles_per_group", "lesion.samples_per_batch")
GIVEN = "given"  # the only phase of networks that were trained elsewhere


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's results, and how it is shown."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    prune: PruneConfig = PruneConfig()
    cluster: ClusterConfig = ClusterConfig()
    lesion: LesionConfig = LesionConfig()
    activations: ActivationsConfig = ActivationsConfig()
    specialisation: SpecialisationConfig = SpecialisationConfig()
    report: ReportConfig = ReportConfig()
    swept: Swept = ()  # what networks differ in beside their seeds; the sections have the first values

    def __post_init__(self) -> None:
        check_between("networks, which are train.num_seeds times the swept settings,", self.num_networks, 1, MAX_SEEDS)
        for own in self.settings:
            settings_of(Network(0, own), self.sections)  # checks them
        architecture_of(self.model)
        check_recipe(self.model, self.train)
        known = tuple(self.epochs)
        last = "last", known[-1:]
        for section, word, meant in (("cluster", "all", known), ("lesion", *last), ("specialisation", *last)):
            own = getattr(self, section)
            phases = tuple(dict.fromkeys(itertools.chain(*(meant if name == word else [name] for name in own.phases))))
            for phase in phases:
                check_choice(f"{section}.phases", phase, (*known, word))
            object.__setattr__(self, section, dataclasses.replace(own, phases=phases))

    @property
    def epochs(self) -> dict[str, int]:
        """Epochs of the recipe's phases, in their order; 0 of the initial networks, and of such as are given."""
        if self.model.wiring:
            return {GIVEN: 0}
        phases = recipe_of(self.train).phases(self.train, self.prune)
        return {INIT: 0} | {phase.name: phase.epochs for phase in phases}

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases that the networks pass through."""
        return tuple(phase for phase, epochs in self.epochs.items() if epochs or phase in (INIT, GIVEN))

    @property
    def sections(self) -> dict[str, Any]:
        """The sections by name."""
        return {name: getattr(self, name) for name in SECTIONS}

    @functools.cached_property
    def settings(self) -> list[Setting]:
        """Those of the networks, train.num_seeds of each; see `settings_in`."""
        return settings_in(self.swept)

    @property
    def num_networks(self) -> int:
        """All networks of the run."""
        return len(self.settings) * self.train.num_seeds

    def network(self, number: int) -> Network:
        """One of them: train.num_seeds have the first combination of settings, as many the second, and so on."""
        setting, seed = divmod(number, self.train.num_seeds)
        return Network(seed, self.settings[setting])

    def alone(self, number: int) -> "RunConfig":
        """The config of a run with that network's settings and no others."""
        own = settings_of(self.network(number), self.sections) if self.swept else {}
        return dataclasses.replace(self, **own, swept=()) if own else self

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dict, tuples for what is swept."""
        return joined({name: dataclasses.asdict(own) for name, own in self.sections.items()}, dict(self.swept))


#: A config's sections, and their classes.
SECTIONS: dict[str, type] = {
    field.name: type(field.default) for field in dataclasses.fields(RunConfig) if field.name != "swept"
}


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The settings in a nested mapping, as a config file or config.json holds them; what is missing takes its default.

    Raises:
      ValueError: that names the section or field, if it is unknown, of the wrong type or out of range.
    """
    defaults = RunConfig().to_dict()
    _check_names("config", values, defaults)
    first, swept = split_sweeps(values)
    sections = {name: _section(name, kind, first.get(name, {})) for name, kind in SECTIONS.items()}
    return RunConfig(**sections, swept=swept)


def check_setting(path: str) -> None:
    """A field's dotted name, such as "train.num_seeds", or a section's.

    Raises:
      ValueError: that names the section or field, if it is unknown.
    """
    section, _, name = path.partition(".")
    defaults = RunConfig().to_dict()
    _check_names("config", [section], defaults)
    if name:
        _check_names(f"config.{section}", [name], defaults[section])


def differences(one: RunConfig, other: RunConfig) -> list[str]:
    """The fields that decide results and differ between two configs, each as "train.num_seeds: 4 and 10"."""
    others = other.to_dict()
    return [
        f"{section}.{name}: {value} and {others[section][name]}"
        for section, values in one.to_dict().items()
        for name, value in values.items()
        if value != others[section][name] and section != "report"
    ]


def _section(name: str, kind: type, values: Mapping[str, Any]) -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(f"config.{name} must be a section with fields, got {values!r}")
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    _check_names(f"config.{name}", values, defaults)
    return kind(**{field: _value(f"{name}.{field}", value, defaults[field]) for field, value in values.items()})


def _value(name: str, value: Any, default: Any) -> Any:
    return 0 if name in GROUP_SIZES and isinstance(value, str) and value == "auto" else coerce(name, value, default)


def _check_names(where: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
            raise ValueError(f"{where} has no field {name!r}; {hint}")
