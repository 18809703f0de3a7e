"""How many networks, controls or samples a run computes at once, and what is said where the memory does not hold them.

A result depends on these sizes in its last digits. So they are settled once, before anything is computed, and stand in
config.json; the same command on another machine goes on with them.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import jax

from modularity_jax.metric.group_sizes import controls_at_once
from modularity_jax.nets.group_sizes import networks_at_once, samples_at_once
from modularity_jax.nets.models import architecture_of, graph_shape, kernel_shapes, widest
from modularity_jax.runs.config import RunConfig


def resolve(config: RunConfig, like: RunConfig | None = None) -> RunConfig:
    """The config with each size that it leaves open as another has it, or else by platform and memory.

    Args:
      config: 0 ("auto") leaves a size open.
      like: of what the results are to agree with; None, or a size of 0, says nothing.
    """
    for setting, rule in _RULES.items():
        section, name = setting.split(".")
        if not _size(config, setting):
            size = (like and _size(like, setting)) or rule(config)
            changed = dataclasses.replace(getattr(config, section), **{name: size})
            config = dataclasses.replace(config, **{section: changed})
    return config


@contextlib.contextmanager
def naming(config: RunConfig, setting: str) -> Iterator[None]:
    """Where the memory runs out, an error that names the flag to lower.

    Raises:
      MemoryError: instead of JAX's own.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = _size(config, setting)
        if size == 1:
            raise MemoryError(f"out of memory even with --config.{setting}=1: {str(error).splitlines()[0]}") from error
        raise MemoryError(
            f"out of memory; lower --config.{setting}={size}, and --fork_workdir=NEW takes over what is finished"
        ) from error


def is_out_of_memory(error: jax.errors.JaxRuntimeError) -> bool:
    """Whether memory is what was missing; with several CPU devices the error has no code of its own for it."""
    return "RESOURCE_EXHAUSTED" in str(error) or "Out of memory" in str(error)


def _size(config: RunConfig, setting: str) -> int:
    section, name = setting.split(".")
    return int(getattr(getattr(config, section), name))


def _shuffles(config: RunConfig) -> int:
    graph, settings = graph_shape(config.model), config.cluster
    most = controls_at_once(graph.size, graph.num_nodes, max(settings.num_clusters), settings.num_restarts)
    return min(most, -(-settings.num_shuffles // jax.device_count()))  # each device has a group of a test's


def _networks(config: RunConfig) -> int:
    values = widest(architecture_of(config.model).module(config.model), config.model.widths[0])
    return networks_at_once(kernel_shapes(config.model), config.num_networks, jax.device_count(), widest=values)


_RULES: dict[str, Callable[[RunConfig], int]] = {
    "train.seeds_per_group": _networks,
    "cluster.shuffles_per_group": _shuffles,
    "lesion.samples_per_batch": lambda config: samples_at_once(
        config.model.widths, config.lesion.num_clusters, jax.device_count()
    ),
}
