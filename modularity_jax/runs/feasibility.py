"""What can be known of a run from its config alone, before the first epoch."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from modularity_jax.metric.methods import METHODS, Method, method_of
from modularity_jax.nets.graphs import ACTIVATION_GRAPHS, check_kind
from modularity_jax.nets.models import apply_recorded, architecture_of, can_be_damaged, graph_shape, kernel_sizes
from modularity_jax.nets.pruning import num_kept
from modularity_jax.runs.config import RunConfig


def check_feasible(config: RunConfig) -> list[str]:
    """Refuses what no network of the run allows.

    Returns:
      What only some of them do not allow, a sentence for each; the stages leave it out, since the rest stands.

    Raises:
      ValueError: that names the field, what it got and what to do.
    """
    _check_graphs(config)
    neurons = graph_shape(config.model).num_nodes
    if (most := max(config.cluster.num_clusters)) > neurons:
        raise ValueError(f"cluster.num_clusters must be at most {neurons}, the neurons of model.widths, got {most}")
    phases = [phase for phase in config.phases if phase in config.cluster.phases]
    if not phases:
        raise ValueError(
            f"cluster.phases must name one of {', '.join(config.phases)}, got {', '.join(config.cluster.phases)}; "
            "train.epochs=0 and prune.epochs=0 leave out a phase"
        )
    few = [count for count in config.cluster.num_clusters if count > _connected(config) and "pruned" in phases]
    sparse = _too_sparse(config, "cluster.num_clusters", few)
    if phases == ["pruned"] and len(few) == len(config.cluster.num_clusters):
        raise ValueError(f"{sparse}; lower it, or ask for other cluster.phases")
    left_out = [f"{sparse}: left out"] if few else []
    # Graphs of activations have hidden neurons alone.
    for section, most in (("lesion", neurons), ("specialisation", sum(config.model.widths[1:-1]))):
        if getattr(config, section).num_shuffles:
            left_out += _check_damage(config, section, most)
    return left_out


def _check_graphs(config: RunConfig) -> None:
    """The architecture has the graphs that are asked for, and each is compared with a control of its kind."""
    methods = config.cluster.methods
    for kind in (*config.cluster.graphs, *config.specialisation.graphs * bool(config.specialisation.num_shuffles)):
        check_kind(kind, architecture_of(config.model))
    asks = bool(config.specialisation.num_shuffles) and can_be_damaged(config.model)
    if asks or ACTIVATION_GRAPHS.keys() & set(config.cluster.graphs):
        apply_recorded(config.model, before=config.activations.before_relu)  # or an error
    for kind in config.cluster.graphs:
        known = [name for name, method in METHODS.items() if fits(method, kind)]
        if not any(fits(method_of(name), kind) for name in methods):
            raise ValueError(
                f"cluster.methods must have one of {', '.join(known)} for the graph {kind}, got {', '.join(methods)}"
            )


def fits(method: Method, kind: str) -> bool:
    """Whether a control is one of graphs of this kind."""
    return method.of_lists if kind in ACTIVATION_GRAPHS else not method.remade


def _check_damage(config: RunConfig, section: str, neurons: int) -> Iterator[str]:
    """As `check_feasible`, of a run that asks for lesions or specialisation, of clusters of so many neurons."""
    settings = getattr(config, section)
    without = f"{section}.num_shuffles=0 leaves out {'all lesions' if section == 'lesion' else 'all of it'}"
    phases, hidden = [phase for phase in config.phases if phase in settings.phases], config.model.widths[1:-1]
    if not phases:
        asked = ", ".join(settings.phases) or "none"
        yield f"{section}.phases names no phase of this run, got {asked}, so nothing is damaged; {without}"
    elif not can_be_damaged(config.model):
        yield f"the units of model.name={config.model.name} cannot be silenced, so nothing is damaged; {without}"
    elif not hidden:
        yield f"model.widths has no hidden layer, got {config.model.widths}, so nothing is damaged; {without}"
    elif settings.num_clusters > neurons:
        raise ValueError(
            f"{section}.num_clusters must be at most {neurons}, the {'' if section == 'lesion' else 'hidden '}neurons "
            f"of model.widths, got {settings.num_clusters}; {without}"
        )
    elif max(hidden) < 2:
        raise ValueError(
            "model.widths must have a hidden layer of at least 2 neurons for lesions, which compare its modules, got "
            f"{config.model.widths}; {without}"
        )
    elif "pruned" in phases and settings.num_clusters > _connected(config):
        yield f"{_too_sparse(config, f'{section}.num_clusters', [settings.num_clusters])}: left out; {without}"


def _too_sparse(config: RunConfig, field: str, counts: Sequence[int]) -> str:
    return (
        f"prune.final_sparsity={config.prune.final_sparsity} leaves at most {_connected(config)} connected neurons, "
        f"too few for {field}={', '.join(map(str, counts))}"
    )


def _connected(config: RunConfig) -> int:
    """The most neurons of a pruned network that can have a weight: a weight is of two, one in each of two groups."""
    graph, sizes = graph_shape(config.model), kernel_sizes(config.model)
    blocks = graph.blocks()
    if [block.weights.size for block in blocks] != sizes or not all(block.rows for block in blocks):
        return graph.num_nodes  # the graph's edges are not the kernels'
    weights: Counter[tuple[int, int]] = Counter()
    for block, kept in zip(blocks, num_kept(np.array([config.prune.final_sparsity]), sizes)[0], strict=True):
        for group in filter(None, (block.rows, block.columns)):
            weights[group.start, group.stop] += int(kept)
    return sum(min(stop - start, kept) for (start, stop), kept in weights.items())
