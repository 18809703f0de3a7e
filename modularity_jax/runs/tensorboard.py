"""A training as TensorBoard shows it: scalars over all its epochs, in an event file for each network."""

import dataclasses
import itertools
import pathlib
import shutil
import time
from collections.abc import Mapping, Sequence
from typing import Any

from modularity_jax.runs.hosts import told_by_first
from modularity_jax.runs.tables import Row

SECONDS = 5.0  # between two visits to the disk
COMPLETE = "complete"  # a file beside the folders, which then have all epochs of all networks

_SCALARS = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "sparsity")  # of metrics.csv


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """What shows a run beside its report; no result depends on it."""

    tensorboard: bool = False  # event files while it trains; needs the extra of that name


def check_writer() -> None:
    """Raises an ImportError that names the command, where what writes event files is missing."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise ImportError('report.tensorboard needs tensorboardX: pip install "modularity_jax[tensorboard]"') from error


class EventFiles:
    """Event files of some of a run's networks, begun anew; process 0 writes them.

    Args:
      folder: of all networks.
      names: of each network's own folder in it, by the network's number; none writes nothing.
      epochs: of the phases, in their order; the global step counts them through, from 0 for the initial networks.
    """

    def __init__(self, folder: pathlib.Path, names: Mapping[int, str], epochs: Mapping[str, int]) -> None:
        self._before = dict(zip(epochs, itertools.accumulate(epochs.values(), initial=0), strict=False))
        self._asked, self._done, self._flushed_at = bool(names), (0, 0), time.monotonic()
        self._writers: dict[int, Any] = {}
        if self._asked:
            told_by_first(lambda: self._open(folder, names))

    def write(self, metrics: Sequence[Row], curve: Sequence[Row]) -> None:
        """Adds what these have since the last call: all rows so far of metrics.csv and of learning_curve.csv."""
        if self._asked:
            told_by_first(lambda: self._write(metrics, curve))

    def close(self) -> None:
        """Writes what is left; tells nobody, since an error may have ended this process's part alone."""
        for writer in self._writers.values():
            writer.close()

    def _open(self, folder: pathlib.Path, names: Mapping[int, str]) -> None:
        # Not `SummaryWriter`, which writes in a thread: a full disk would end that one, and have the training wait.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        (folder / COMPLETE).unlink(missing_ok=True)
        for number, name in names.items():
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
            self._writers[number] = EventsWriter(str(folder / name / "events"))
            # A TensorBoard that has read the files before drops what it knows.
            start = SessionLog(status=SessionLog.START)
            self._writers[number].write_event(Event(wall_time=time.time(), step=0, session_log=start))

    def _write(self, metrics: Sequence[Row], curve: Sequence[Row]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        new = [(row, {name.replace("_", "/"): row[name] for name in _SCALARS}) for row in metrics[self._done[0] :]]
        new += [(row, _point(row)) for row in curve[self._done[1] :]]
        self._done = len(metrics), len(curve)
        for row, scalars in new:
            if writer := self._writers.get(row["seed"]):
                known = [Summary.Value(tag=tag, simple_value=own) for tag, own in scalars.items() if own is not None]
                step = self._before[row["phase"]] + row["epoch"]
                writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=known)))
        if time.monotonic() - self._flushed_at > SECONDS:
            for writer in self._writers.values():
                writer.flush()
            self._flushed_at = time.monotonic()


def _point(row: Row) -> Row:
    """Scalars of a row of learning_curve.csv by their tags, which name the graph unless it is of the weights."""
    graph = "" if row["graph"] == "weights" else f"/{row['graph']}"
    tag = f"{row['measure']}/k_{row['num_clusters']}{graph}"
    return {tag: row["observed"], f"{tag}/controls": row["shuffled_mean"]}
