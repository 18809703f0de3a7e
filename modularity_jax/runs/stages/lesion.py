"""The lesion stage of a run: lesions.csv, double_lesions.csv and lesions/<phase>.npz."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from jax.sharding import Mesh

from modularity_jax.metric.settings import Settings
from modularity_jax.nets.models import can_be_damaged, lesion_arguments
from modularity_jax.nets.training import Samples
from modularity_jax.probes.lesion_test import KINDS, DoubleLesionTest, LesionTest, double_lesion_test, lesion_test
from modularity_jax.probes.measure import Keep
from modularity_jax.runs import signals
from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.pieces import KeptSums, results, timed
from modularity_jax.runs.stages import left_out
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
from modularity_jax.runs.stages.lesion_tables import DOUBLE_LESION_COLUMNS, LESION_COLUMNS, as_piece
from modularity_jax.runs.store import Store, digest, unpacked
from modularity_jax.runs.tables import Row, is_complete, is_readable, read_arrays, write_arrays
from modularity_jax.runs.workdir import Comparison, Workdir

# Tells the lesions' randomness from that of the shuffle tests of the same network.
_LESION_STREAM = 2**32 - 2
# Of which clusters sub-modules are made.
GRAPH, MEASURE = "weights", "ncut"


class LesionCase(NamedTuple):
    """A test of one network, in the order of the tables."""

    phase: str
    seed: int
    kind: str  # "single", "joint" or "conditional"


class _Stage(NamedTuple):
    """What all tests of the stage need."""

    store: Store
    config: RunConfig
    networks: Mapping[tuple[str, int], TrainedNetwork]
    samples: Samples
    samples_digest: str
    mesh: Mesh | None


def lesion_stage(workdir: Workdir, mesh: Mesh | None = None) -> None:
    """Damage every sub-module and pair of the run's networks, on the test set.

    What is in the run's store is not computed again, and a long test goes on in its middle. A network that cannot be
    tested is left out, and `left_out.csv` says why. Mesh: the devices, of all processes, share the samples.

    Raises:
      FileNotFoundError: if the networks are missing; it names the command that trains them.
      StoppedError: after saving, if it was asked to stop.
    """
    config = workdir.config
    phases = [phase for phase in config.phases if phase in config.lesion.phases and config.lesion.num_shuffles]
    networks = load_networks(workdir, phases, (GRAPH,))
    kinds = ["single", *(kind for kind in KINDS if getattr(config.lesion, kind))]
    cases = [LesionCase(*network, kind) for network, kind in itertools.product([*networks], kinds)]
    if told_by_first(lambda: _is_done(workdir, phases, cases)):
        logging.info("%s holds its lesions already", workdir.path)
        return
    reasons = _impossible(config, networks)
    cases = [case for case in cases if _left_out(case, config) not in reasons]
    if not cases:
        told_by_first(lambda: left_out.note(workdir, "lesion", reasons))
        logging.info("%s has no network whose modules could be damaged, or its config asks for none", workdir.path)
        return
    samples = load_samples(config)
    drawn_on = digest((samples.x_test, samples.y_test))
    stage = _Stage(workdir.store(), config, networks, samples, drawn_on, mesh)
    keys = {case: [_key(stage, case)] for case in cases}
    title = f"damaging {len(networks)} networks"
    with timed(workdir, "lesion"):
        pieces = results(workdir, title, "lesion", keys, lambda case: _piece(stage, case), _told)
        failed = {case: unpacked(piece["reason"]) for case, piece in pieces.items() if "reason" in piece}
        pieces = {case: piece for case, piece in pieces.items() if case not in failed}
        labels = {case[:2]: _labels(stage, case) for case in pieces}
        reasons |= {_left_out(case, config): why for case, why in failed.items()}
        told_by_first(lambda: left_out.note(workdir, "lesion", reasons))
        told_by_first(lambda: _collate(workdir, stage, phases, pieces, labels))


def _told(case: LesionCase, piece: Mapping[str, np.ndarray]) -> str:
    return f"{case.phase} seed {case.seed}, {case.kind}: {unpacked(piece['outcome'])}"


def _is_done(workdir: Workdir, phases: Iterable[str], cases: Iterable[LesionCase]) -> bool:
    """Whether the files have each test that is not left out."""
    noted = left_out.read(workdir, "lesion")
    asked = [case for case in cases if _left_out(case, workdir.config) not in noted]
    tables, arrays = ["lesions.csv", "double_lesions.csv"], [f"lesions/{phase}.npz" for phase in phases]
    return is_complete(
        workdir.path, tables, arrays, asked, lambda row: (row["phase"], row["seed"], row.get("kind", "single"))
    )


def _left_out(case: LesionCase, config: RunConfig) -> Case:
    return Case(case.phase, case.seed, GRAPH, config.lesion.num_clusters)


def _impossible(config: RunConfig, networks: Mapping[tuple[str, int], TrainedNetwork]) -> dict[Case, str]:
    """What is known of the networks without their labels: what they do not allow, and why."""
    count = config.lesion.num_clusters
    asked = {Case(*name, GRAPH, count): network.graphs[GRAPH] for name, network in networks.items()}
    if not can_be_damaged(config.model):
        return dict.fromkeys(asked, f"the units of model.name={config.model.name} cannot be silenced")
    if len(config.model.widths) < 3:
        return dict.fromkeys(asked, "there is no hidden layer whose neurons could be damaged")
    return left_out.impossible(asked)


def _key(stage: _Stage, case: LesionCase) -> dict[str, Any]:
    """What decides a test."""
    own, network = stage.config.lesion, stage.networks[case[:2]]
    return clustering_key(network, stage.config, GRAPH, _settings(stage)) | {
        "piece": "lesions",
        "kind": case.kind,
        "samples": stage.samples_digest,
        "num_shuffles": own.num_shuffles if case.kind == "single" else getattr(own, case.kind),
        "correction": own.correction,
        "samples_per_batch": own.samples_per_batch,
    }


def _piece(stage: _Stage, case: LesionCase) -> dict[str, np.ndarray]:
    """A test's rows, as JSON, arrays and outcome in words; or the reason why the network does not allow it."""
    key = _key(stage, case)
    piece = stage.store.get(key)
    if piece is None:
        signals.check()
        keep = KeptSums(stage.store, key | {"piece": "lesions-under-way"})
        head = {"seed": case.seed, "phase": case.phase, "num_clusters": stage.config.lesion.num_clusters}
        head |= {"kind": case.kind} if case.kind in KINDS else {}
        piece = as_piece(head, _test(stage, case, keep))
        stage.store.put(key, piece)
        keep.drop()
    return piece


def _test(stage: _Stage, case: LesionCase, keep: Keep) -> LesionTest | DoubleLesionTest | str:
    """One test of one network, with a key of its own; or why the network does not allow it.

    What is wrong with the settings ends a run before it trains.
    """
    if stage.samples.y_test.ndim == 2:
        return "lesions are of networks that classify, and this is a regression"
    network, settings = stage.networks[case[:2]], stage.config.lesion
    labels = _labels(stage, case)
    stream = jax.random.fold_in(cluster_key(stage.config, case.seed), _LESION_STREAM)
    keys = dict(zip(("single", *KINDS), jax.random.split(stream, 1 + len(KINDS)), strict=True))
    shared: dict[str, Any] = {"mesh": stage.mesh, "keep": keep}
    shared |= {name: getattr(settings, name) for name in ("num_clusters", "correction", "samples_per_batch")}
    shared |= lesion_arguments(stage.config.model)
    given = network.params, labels, stage.samples.x_test, stage.samples.y_test, keys[case.kind]
    try:
        if case.kind == "single":
            return lesion_test(*given, num_shuffles=settings.num_shuffles, **shared)
        count = getattr(settings, case.kind)
        return double_lesion_test(*given, kind=case.kind, num_shuffles=count, **shared)
    except ValueError as error:
        return str(error)


def _labels(stage: _Stage, case: LesionCase) -> np.ndarray:
    """The clusters of a network's neurons."""
    found = kept_clustering(stage.store, stage.networks[case[:2]], stage.config, GRAPH, _settings(stage), stage.mesh)
    return np.asarray(found.labels)


def _settings(stage: _Stage) -> Settings:
    return clustering_settings(stage.config, MEASURE, stage.config.lesion.num_clusters)


def _collate(
    workdir: Workdir,
    stage: _Stage,
    phases: Iterable[str],
    pieces: Mapping[LesionCase, Mapping[str, np.ndarray]],
    found: Mapping[tuple[str, int], np.ndarray],
) -> None:
    """The arrays of all tests, labels included, and the tables, which come last and so tell that the stage is done."""
    count = stage.config.lesion.num_clusters
    for phase in phases:
        arrays: dict[str, np.ndarray] = {}
        labels: dict[str, np.ndarray] = {}
        for case, piece in pieces.items():
            if case.phase == phase:
                start, own = f"seed_{case.seed}/k_{count}/{case.kind}/", "arrays/"
                arrays |= {start + name[len(own) :]: array for name, array in piece.items() if name.startswith(own)}
                labels[f"{Comparison(*case[:2], GRAPH, MEASURE, count, '').prefix}/labels"] = found[case[:2]]
        write_arrays(workdir.path / f"lesions/{phase}.npz", dict(sorted(arrays.items())))
        name = f"clusters/{phase}.npz"
        there = read_arrays(workdir.path, name) if is_readable(workdir.path / name) else {}
        if labels.keys() - there.keys():
            write_arrays(workdir.path / name, dict(sorted((labels | there).items())))
    rows = {case: unpacked(piece["rows"]) for case, piece in pieces.items()}
    by_class = tuple(f"accuracy_{c}" for c in range(stage.config.model.widths[-1]))
    workdir.write_table("double_lesions.csv", _rows(rows, KINDS), DOUBLE_LESION_COLUMNS)
    workdir.write_table("lesions.csv", _rows(rows, ("single",)), LESION_COLUMNS + by_class)


def _rows(rows: Mapping[LesionCase, list[Row]], kinds: Sequence[str]) -> list[Row]:
    # An equal network of another number may have made the piece.
    return [row | {"seed": case.seed} for case, own in rows.items() if case.kind in kinds for row in own]
