"""Measure trained networks: `python -m experiments.measure --network=net.npz --workdir=runs/mine`.

Reads .npz, .safetensors, Flax's .msgpack, an Orbax checkpoint's folder, or the pickle of a scikit-learn MLP.
"""

from experiments import launcher  # first, because it ends with one line what cannot be imported

# isort: split
import dataclasses
import functools

from absl import flags

from experiments import cluster, report
from modularity_jax.data.paths import local_path
from modularity_jax.graphs.conv import NORMS
from modularity_jax.runs.config import ClusterConfig, RunConfig, from_dict
from modularity_jax.runs.given import Networks, give, read
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.workdir import Workdir

_NETWORKS = flags.DEFINE_multi_string("network", [], "A file; several, or seed_<id>/ in one, are several seeds.")
_LAYERS = flags.DEFINE_string("layers", "", "Only arrays in whose names this regular expression is found.")
_WIRING = flags.DEFINE_string("wiring", None, "A JSON file: [[source, target, array], ...]; see docs/running.md.")
_NORM = flags.DEFINE_enum("norm", "l1", NORMS, "Of a filter's places, which make one edge.")

# Both measures, and controls that keep less and more of a network.
DEFAULTS = ClusterConfig(
    measures=("ncut", "modularity"),
    methods=("layer", "layer_nonzero", "strengths"),
    num_shuffles=99,
    selection="ncut",
    refine=True,
)


@functools.cache
def networks() -> Networks:
    """What the flags point to, as process 0 finds it."""
    if not _NETWORKS.value:
        raise ValueError("--network must name a file with a trained network, got none")
    files = [local_path("--network", path) for path in _NETWORKS.value]
    wiring = local_path("--wiring", _WIRING.value) if _WIRING.value else None
    return told_by_first(lambda: read(files, _LAYERS.value, wiring, _NORM.value))


def config() -> RunConfig:
    """The networks' own, with the flags' settings of the clustering; where they are the defaults, what fits of them."""
    asked, graph = from_dict(flags.FLAGS.config.to_dict()), networks().graph
    cluster = asked.cluster
    if cluster.num_clusters == DEFAULTS.num_clusters:
        few = tuple(count for count in cluster.num_clusters if count <= graph.num_nodes)
        cluster = dataclasses.replace(cluster, num_clusters=few or cluster.num_clusters)
    if cluster.methods == DEFAULTS.methods and all(block.weights.all() for block in graph.blocks()):
        cluster = dataclasses.replace(cluster, methods=("layer", "strengths"))  # layer_nonzero would be layer
    return networks().config(cluster, asked.train.seed)


def main(workdir: Workdir) -> None:
    """Say how the networks are wired, cluster what is missing, and report."""
    told_by_first(lambda: print(networks().description(), flush=True))  # noqa: T201
    told_by_first(lambda: give(workdir, networks()))
    cluster.main(workdir)
    report.main(workdir)


if __name__ == "__main__":
    settings = dataclasses.asdict(DEFAULTS)
    del settings["phases"], settings["curve_epochs"]  # of a training
    launcher.define_settings({"cluster": settings, "train": {"seed": 0}}, "runs/given")
    launcher.launch(main, config)
