"""The specialisation stage of a run: partitionings.csv, submodules.csv, specialisation.csv and its arrays."""

import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.metric.local import cluster_locally, counts_by_layer
from modularity_jax.metric.settings import Settings
from modularity_jax.nets.graphs import ACTIVATION_GRAPHS
from modularity_jax.nets.models import can_be_damaged, graph_shape, lesion_arguments
from modularity_jax.nets.training import Samples
from modularity_jax.probes.input_coherence import InputCoherence, input_coherence
from modularity_jax.probes.lesion_test import LesionTest, lesion_test
from modularity_jax.probes.measure import Keep
from modularity_jax.runs import signals
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.pieces import KeptSums, results, timed
from modularity_jax.runs.stages import left_out
from modularity_jax.runs.stages.activations import Activations
from modularity_jax.runs.stages.inputs import (
    TrainedNetwork,
    cluster_key,
    clustering_key,
    clustering_settings,
    kept_clustering,
    load_networks,
    load_samples,
)
from modularity_jax.runs.stages.left_out import Case
from modularity_jax.runs.stages.specialise_tables import TABLES, Partitioning, collate, partitioning_piece
from modularity_jax.runs.store import Store, digest, packed, unpacked
from modularity_jax.runs.tables import is_complete
from modularity_jax.runs.workdir import Workdir

# Tell its randomness from that of the shuffle tests and lesions of the same network.
_LOCAL_STREAM, _CONTROL_STREAM = 2**32 - 4, 2**32 - 5
MEASURE = "ncut"


class SpecialisationCase(NamedTuple):
    """A partitioning of one network, in the order of the tables."""

    phase: str
    seed: int
    graph: str
    scope: str  # "global" or "local"


class _Stage(NamedTuple):
    """What all cases of the stage need."""

    store: Store
    config: RunConfig
    networks: Mapping[tuple[str, int], TrainedNetwork]
    samples: Samples  # of which modules are damaged on the test set
    samples_digest: str
    activations: Activations
    mesh: Mesh | None


def specialise_stage(workdir: Workdir, mesh: Mesh | None = None) -> None:
    """Do a network's partitions pick out units that matter together, and that specialise (2110.08058)?

    By graph and scope: partitions of all layers together and of each layer alone, into sub-modules that are damaged and
    compared with random sets of their size. What is in the run's store is not computed again. A network that cannot be
    partitioned is left out, and `left_out.csv` says why; a graph that is no chain of layers has no local partition.

    Raises:
      FileNotFoundError: if the networks are missing; it names the command that trains them.
      StoppedError: after saving, if it was asked to stop.
    """
    config, own = workdir.config, workdir.config.specialisation
    phases = [phase for phase in config.phases if phase in own.phases]
    if not own.num_shuffles or not phases:
        logging.info("%s: its config asks for no test of specialisation", workdir.path)
        return
    every = load_samples(config)
    if why := _why_none(config, every):
        names = load_networks(workdir, phases, ())
        reasons = {Case(*name, graph, own.num_clusters): why for name in names for graph in own.graphs}
        told_by_first(lambda: left_out.note(workdir, "specialise", reasons))
        return
    activations = Activations(config, every)
    networks = load_networks(workdir, phases, own.graphs, activations)
    asked: Iterable[Any] = itertools.product([*networks], own.graphs, own.scopes)
    cases = [SpecialisationCase(*network, *rest) for network, *rest in asked]
    cases = [case for case in cases if _has_scope(networks[case[:2]].graphs[case.graph], case.scope)]
    if told_by_first(lambda: _is_done(workdir, phases, cases)):
        logging.info("%s holds its specialisation already", workdir.path)
        return
    reasons = left_out.impossible({_left_out(case, config): networks[case[:2]].graphs[case.graph] for case in cases})
    cases = [case for case in cases if _left_out(case, config) not in reasons]
    samples = _first(every, own.num_samples)
    drawn_on = digest((samples.x_test, samples.y_test))
    stage = _Stage(workdir.store(), config, networks, samples, drawn_on, activations, mesh)
    keys = {case: [_key(stage, case)] for case in cases}
    title = f"looking for specialisation in {len(networks)} networks"
    with timed(workdir, "specialise", "lesion"):
        pieces = results(workdir, title, "specialise", keys, lambda case: _piece(stage, case), _told)
        reasons |= {_left_out(case, config): unpacked(own["reason"]) for case, own in pieces.items() if "reason" in own}
        pieces = {case: piece for case, piece in pieces.items() if "reason" not in piece}
        labels = {case: _labels(stage, case) for case in pieces}
        told_by_first(lambda: left_out.note(workdir, "specialise", reasons))
        told_by_first(lambda: collate(workdir, phases, pieces, labels))


def _told(case: SpecialisationCase, piece: Mapping[str, np.ndarray]) -> str:
    return f"{case.phase} seed {case.seed}, {case.graph}, {case.scope}: {unpacked(piece['outcome'])}"


def _is_done(workdir: Workdir, phases: Iterable[str], cases: Iterable[SpecialisationCase]) -> bool:
    """Whether the files have each partitioning that is not left out."""
    noted = left_out.read(workdir, "specialise")
    asked = [case for case in cases if _left_out(case, workdir.config) not in noted]
    arrays = [f"specialisation/{phase}.npz" for phase in phases]
    place = operator.itemgetter(*SpecialisationCase._fields)
    return is_complete(workdir.path, TABLES, arrays, asked, place)


def _left_out(case: SpecialisationCase, config: RunConfig) -> Case:
    return Case(case.phase, case.seed, case.graph, config.specialisation.num_clusters)


def _has_scope(graph: Any, scope: str) -> bool:
    """Whether a graph has the layers that partitions layer by layer ask for."""
    return scope == "global" or bool(getattr(graph, "hidden_layers", ()))


def _why_none(config: RunConfig, samples: Samples) -> str | None:
    """Why no network of the run can be tested; None if some may."""
    if not can_be_damaged(config.model):
        return f"the units of model.name={config.model.name} cannot be silenced"
    if samples.y_test.ndim == 2:
        return "specialisation is of networks that classify, and this is a regression"
    return None


def _key(stage: _Stage, case: SpecialisationCase) -> dict[str, Any]:
    """What decides a piece."""
    own, network = stage.config.specialisation, stage.networks[case[:2]]
    return clustering_key(network, stage.config, case.graph, _settings(stage)) | {
        "piece": "specialisation",
        "scope": case.scope,
        "samples": stage.samples_digest,
        "excited": stage.activations.key,
        "num_shuffles": own.num_shuffles,
        "first_shuffles": own.first_shuffles,
        "num_top": own.num_top,
        "samples_per_batch": stage.config.lesion.samples_per_batch,
    }


def _piece(stage: _Stage, case: SpecialisationCase) -> dict[str, np.ndarray]:
    """A partitioning's rows, as JSON, arrays and outcome in words; or the reason why the network does not allow it."""
    key = _key(stage, case)
    piece = stage.store.get(key)
    if piece is None:
        signals.check()
        keep = KeptSums(stage.store, key | {"piece": "specialisation-under-way"})
        try:
            piece = partitioning_piece(*_tests(stage, case, keep), stage.config.specialisation.first_shuffles)
        except ValueError as error:  # settings were checked before the training: it is the network
            piece = {"outcome": packed(f"left out, {error}"), "reason": packed(str(error))}
        stage.store.put(key, piece)
        keep.drop()
    return piece


def _tests(stage: _Stage, case: SpecialisationCase, keep: Keep) -> tuple[LesionTest, InputCoherence]:
    """Lesions of all sub-modules, and the classes that excite them, against the same permutations of the labels."""
    network, own = stage.networks[case[:2]], stage.config.specialisation
    labels, samples = _labels(stage, case), stage.samples
    key = jax.random.fold_in(cluster_key(stage.config, case.seed), _CONTROL_STREAM)
    how: dict[str, Any] = {"num_clusters": own.num_clusters, "num_shuffles": own.num_shuffles}
    given = network.params, labels.labels, samples.x_test, samples.y_test, key
    here = how | lesion_arguments(stage.config.model) | {"mesh": stage.mesh, "keep": keep}
    tested = lesion_test(*given, samples_per_batch=stage.config.lesion.samples_per_batch, **here)
    hidden, excited = np.concatenate(labels.hidden), stage.activations.of(network.params)
    return tested, input_coherence(excited, hidden, stage.activations.y, key, **how, num_top=own.num_top)


def _labels(stage: _Stage, case: SpecialisationCase) -> Partitioning:
    """The clusters of all units, -1 of those that the graph does not have."""
    network, config, settings = stage.networks[case[:2]], stage.config, _settings(stage)
    found = kept_clustering(stage.store, network, config, case.graph, settings, stage.mesh)
    shape: Any = graph_shape(config.model)  # with groups, or there is nothing to silence
    widths = shape.wiring.widths
    labels, ncut = np.asarray(found.labels), np.full(len(widths) - 2, found.ncut)
    around = (widths[0], widths[-1]) if case.graph in ACTIVATION_GRAPHS else (0, 0)
    labels = np.pad(labels, around, constant_values=-1)
    if case.scope == "local":
        local = _local(stage, case, counts_by_layer(labels, widths))
        labels, ncut = np.pad(local["labels"], around, constant_values=-1), local["ncut"]
    return Partitioning(labels, ncut, widths)


def _local(stage: _Stage, case: SpecialisationCase, counts: Sequence[int]) -> dict[str, np.ndarray]:
    """The clusters of each layer by itself, so many; computed once in a run."""
    network, settings = stage.networks[case[:2]], _settings(stage)
    key = clustering_key(network, stage.config, case.graph, settings) | {"piece": "local-clustering"}
    arrays = stage.store.get(key)
    if arrays is None:
        stream = jax.random.fold_in(cluster_key(stage.config, case.seed), _LOCAL_STREAM)
        how: dict[str, Any] = {"num_restarts": settings.num_restarts, "refine": settings.refine, "mesh": stage.mesh}
        graph: Any = network.graphs[case.graph]  # with layers, see `_has_scope`
        most = settings.num_clusters
        found = cluster_locally(graph, stream, num_clusters=most, counts=np.asarray(counts), **how)
        arrays = {name: np.asarray(value) for name, value in found._asdict().items()}
        stage.store.put(key, arrays)
    return arrays


def _settings(stage: _Stage) -> Settings:
    return clustering_settings(stage.config, MEASURE, stage.config.specialisation.num_clusters)


def _first(samples: Samples, count: int) -> Samples:
    """The samples with the first `count` of the test set, 0 for all."""
    return samples._replace(x_test=samples.x_test[: count or None], y_test=samples.y_test[: count or None])
