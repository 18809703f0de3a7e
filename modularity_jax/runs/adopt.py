"""Networks that another run has trained already with the same settings."""

import dataclasses
import pathlib
from collections.abc import Iterable, Iterator

from absl import logging

from modularity_jax.runs.config import RunConfig
from modularity_jax.runs.tables import read_arrays, read_json, read_table, write_arrays, write_csv
from modularity_jax.runs.training import METRICS_COLUMNS, SETTING, is_trained
from modularity_jax.runs.workdir import PACKAGES, Workdir, group_size, open_workdir, record


def adopt_networks(workdir: Workdir, donors: Iterable[pathlib.Path]) -> None:
    """Copy weights and metrics from the first run that holds what this one would train: nothing, if none does.

    A network depends on its seed and the settings of data, model, training and pruning alone, so a run with more seeds
    serves one with fewer. Runs by other versions of the packages or on other devices round differently and are passed
    over. `versions.json` notes where the networks came from, and from which commit. A run that asks for a learning
    curve trains by itself.
    """
    if is_trained(workdir) or workdir.config.cluster.curve_epochs:
        return
    for donor in _serving(workdir, donors):
        seeds = range(workdir.config.train.num_seeds)
        prefixes = tuple(f"seed_{seed}/" for seed in seeds)
        for phase in workdir.config.phases:
            arrays = read_arrays(donor.path, f"weights/{phase}.npz", prefixes)
            write_arrays(workdir.weights(phase), arrays)
        rows = [row for row in read_table(donor.path, "metrics.csv", METRICS_COLUMNS) if row["seed"] in seeds]
        write_csv(workdir.metrics, rows, METRICS_COLUMNS)
        commit = read_json(donor.path, "versions.json").get("git_commit")
        record(workdir, {"networks_from": {"workdir": str(donor.path), "git_commit": commit}})
        logging.info("%s takes its networks from %s", workdir.path, donor.path)
        return


def _serving(workdir: Workdir, donors: Iterable[pathlib.Path]) -> Iterator[Workdir]:
    for path in donors:
        if not (path / "config.json").exists():
            continue
        try:
            donor = open_workdir(path)
            versions = [read_json(place, "versions.json") for place in (path, workdir.path)]
        except (ValueError, OSError) as error:
            logging.warning("%s cannot lend its networks: %s", path, error)
            continue
        same_rounding = all(versions[0].get(name) == versions[1].get(name) for name in (*PACKAGES, "devices"))
        same_rounding &= group_size(workdir, SETTING) in (0, group_size(donor, SETTING))
        if is_trained(donor) and same_rounding and _same_networks(donor.config, workdir.config):
            yield donor


def _same_networks(donor: RunConfig, wanted: RunConfig) -> bool:
    train = dataclasses.replace(donor.train, num_seeds=wanted.train.num_seeds)
    same = (donor.data, donor.model, train, donor.prune) == (wanted.data, wanted.model, wanted.train, wanted.prune)
    return same and donor.train.num_seeds >= wanted.train.num_seeds
