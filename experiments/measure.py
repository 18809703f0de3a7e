"""Measure trained networks: `python -m experiments.measure --network=net.npz --workdir=runs/mine`.

Reads .npz, .safetensors, Flax's .msgpack, an Orbax checkpoint's folder, or the pickle of a scikit-learn MLP.
"""

from experiments import launcher  # first, because it ends with one line what cannot be imported

# isort: split
import dataclasses
import functools

from absl import flags

from experiments import cluster, lesion, report
from modularity_jax.data.paths import local_path
from modularity_jax.graphs.conv import NORMS
from modularity_jax.runs.config import RunConfig, from_dict
from modularity_jax.runs.given import Networks, give, read
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.sections import ClusterConfig, DataConfig, LesionConfig
from modularity_jax.runs.stages.inputs import load_samples
from modularity_jax.runs.workdir import Workdir

_NETWORKS = flags.DEFINE_multi_string("network", [], "A file; several, or seed_<id>/ in one, are several seeds.")
_LAYERS = flags.DEFINE_string("layers", "", "Only arrays in whose names this regular expression is found.")
_WIRING = flags.DEFINE_string("wiring", None, "A JSON file: [[source, target, array], ...]; see docs/running.md.")
_NORM = flags.DEFINE_enum("norm", "l1", NORMS, "Of a filter's places, which make one edge.")
_DATA = flags.DEFINE_string("data", None, "A data set, as data.name: a Flax perceptron's modules are damaged on it.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder with the data set's files; empty takes TensorFlow Datasets.")

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
    if _DATA.value and _WIRING.value:
        raise ValueError("--data takes perceptrons, whose wiring is known: leave out --wiring or --data")
    files = [local_path("--network", path) for path in _NETWORKS.value]
    wiring = local_path("--wiring", _WIRING.value) if _WIRING.value else None
    return told_by_first(lambda: read(files, _LAYERS.value, wiring, _NORM.value, perceptrons=bool(_DATA.value)))


def config() -> RunConfig:
    """The networks' own, with the flags' settings of the clustering; where they are the defaults, what fits of them."""
    asked, graph = from_dict(flags.FLAGS.config.to_dict()), networks().graph
    own = asked.cluster
    if own.num_clusters == DEFAULTS.num_clusters:
        few = tuple(count for count in own.num_clusters if count <= graph.num_nodes)
        own = dataclasses.replace(own, num_clusters=few or own.num_clusters)
    if own.methods == DEFAULTS.methods and all(block.weights.all() for block in graph.blocks()):
        own = dataclasses.replace(own, methods=("layer", "strengths"))  # layer_nonzero would be layer
    if not _DATA.value:
        if asked.lesion != RunConfig().lesion:
            raise ValueError("--config.lesion.* needs --data, the data set that modules are damaged on; got none")
        return networks().config(own, asked.train.seed)
    folder = str(local_path("--data_dir", _DATA_DIR.value)) if _DATA_DIR.value else ""
    lesions = dataclasses.replace(asked.lesion, phases=("last",))
    return networks().config(own, asked.train.seed, DataConfig(_DATA.value, folder), lesions)


def main(workdir: Workdir) -> None:
    """Say how the networks are wired, cluster what is missing, damage it where there is data, and report."""
    told_by_first(lambda: print(networks().description(), flush=True))  # noqa: T201
    told_by_first(lambda: give(workdir, networks()))
    if _DATA.value:
        _check_data(workdir.config)
    cluster.main(workdir)
    if _DATA.value:
        lesion.main(workdir)
    report.main(workdir)


def _check_data(config: RunConfig) -> None:
    """Before anything is computed: the data set is there, and the networks take it."""
    inputs, wanted = load_samples(config).x_test.shape[1], config.model.widths[0]
    if inputs != wanted:
        raise ValueError(f"--data={config.data.name} has {inputs} inputs, but the networks {wanted}")


if __name__ == "__main__":
    settings = {"cluster": dataclasses.asdict(DEFAULTS), "lesion": dataclasses.asdict(LesionConfig())}
    for name in ("phases", "curve_epochs"):  # of a training
        for section in settings.values():
            section.pop(name, None)
    launcher.define_settings(settings | {"train": {"seed": 0}}, "runs/given")
    launcher.launch(main, config)
