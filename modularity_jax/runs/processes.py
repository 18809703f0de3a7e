"""Processes that share a run: each shows the others that it is alive, waits for them, and takes pieces of the work.

They talk through small files in the run's directory, which all must see. JAX has a heartbeat of its own, but it ends
the process where it stands; this one is faster and saves what is in hand first.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import jax

from modularity_jax.data.dataset import one_line
from modularity_jax.runs import signals

BEAT_SECONDS = 1.0
SILENCE_SECONDS = 20.0  # after which a process is taken for dead
JOIN_SECONDS = 60.0  # the same, before it was heard of at all: hosts start at different times
GRACE_SECONDS = 25.0  # for the piece of work in hand, when another process is gone

_AT_WORK, _ENDED = "at work", "ended"
_LENGTH = 1024  # of a file, always: it is written over in place, which a network's file system shows others at once


class Team:
    """The processes of a run. The first of them, number 0, writes its tables.

    Args:
      folder: where they leave their files; None for a process alone.
      index: this process's number, 0..count - 1.
      count: how many there are.
    """

    def __init__(self, folder: pathlib.Path | None = None, index: int = 0, count: int = 1) -> None:
        self.index, self.count = index, count
        self._folder = folder or pathlib.Path()
        self._token = ""  # of this start, which tells its files from those of an earlier one
        self._state, self._reached, self._beats = _AT_WORK, 0, 0
        self._heard = {other: (-1, time.monotonic()) for other in range(count) if other != index}
        self._writing, self._left = threading.Lock(), threading.Event()

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run's tables."""
        return self.index == 0

    def wait(self) -> None:
        """Until every process has called it as often as this one.

        Raises:
          StoppedError: if this process was asked to stop, or another one is gone.
        """
        if self.count == 1:
            return
        self._reached += 1
        self._write()
        while not all(found and found["reached"] >= self._reached for found in map(self._read, self._heard)):
            signals.check()
            time.sleep(0.05)

    def takes(self, piece: str) -> bool:
        """Whether a piece of work falls to this process: to the one that asks first. Pieces have distinct names."""
        if self.count == 1:
            return True
        try:
            os.close(os.open(self._folder / f"{self._token}-{piece}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        return True

    def start(self) -> None:
        """Meet the others: the first clears away what an earlier start has left, the others wait for it.

        Raises:
          StoppedError: if this process was asked to stop.
          ValueError: if the first is not heard of.
        """
        if self.is_first:
            shutil.rmtree(self._folder, ignore_errors=True)  # of a start that was cut short
            self._folder.mkdir(parents=True)
            self._token = uuid.uuid4().hex[:8]
        else:
            self._token = self._token_of_first()
        self._write()
        threading.Thread(target=self._watch, daemon=True).start()

    def leave(self, state: str = _ENDED) -> None:
        """Tell the others; the first leaves last, because JAX ends all others at once when it is gone."""
        self._state = state
        self._left.set()
        self._write()
        deadline = time.monotonic() + GRACE_SECONDS
        while self.is_first and time.monotonic() < deadline and any(map(self._is_there, self._heard)):
            time.sleep(0.05)
        if self.is_first and state == _ENDED:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _token_of_first(self) -> str:
        """Of a file that is written anew while we look, so that it is not one of an earlier start."""
        deadline, before = time.monotonic() + JOIN_SECONDS, None
        while time.monotonic() < deadline:
            signals.check()
            found = self._parse(0)
            if found and before and found["token"] == before["token"] and found["beats"] != before["beats"]:
                return str(found["token"])
            before = before if found and before and found["token"] == before["token"] else found
            time.sleep(0.2)
        raise ValueError(
            f"process 0 of {self.count} is not at work in {self._folder.parent}; --workdir must be one directory that "
            "all hosts see, and process 0 may have said what is wrong"
        )

    def _watch(self) -> None:
        """Beats, listens, and wishes to stop when another process is gone; later ends a process that cannot stop."""
        since = None
        while not self._left.wait(BEAT_SECONDS):
            self._write()
            trouble = next(filter(None, map(self._trouble, self._heard)), None)
            if trouble and since is None:
                since = time.monotonic()
                signals.want(trouble)
            if since and time.monotonic() - since > GRACE_SECONDS:
                signals.end_now(trouble or "another process is gone")

    def _trouble(self, other: int) -> str | None:
        """What is wrong with another process, in words."""
        found = self._read(other)
        if found and found["beats"] != self._heard[other][0]:
            self._heard[other] = found["beats"], time.monotonic()
        who = f"process {other} of {self.count}" + (f" on {found['host']}" if found else "")
        if found and found["state"] not in (_AT_WORK, _ENDED):
            return f"{who} has left: {found['state']}"
        if not self._is_silent(other):
            return None
        beats, heard = self._heard[other]
        hint = f" in {self._folder.parent}, which all hosts must see" if beats < 0 else ""
        return f"{who} has not been heard of for {time.monotonic() - heard:.0f} s{hint}"

    def _is_silent(self, other: int) -> bool:
        beats, heard = self._heard[other]
        return time.monotonic() - heard > (SILENCE_SECONDS if beats >= 0 else JOIN_SECONDS)

    def _is_there(self, other: int) -> bool:
        found = self._read(other)
        return found is not None and found["state"] == _AT_WORK and not self._is_silent(other)

    def _write(self) -> None:
        """This process's file; a disk that is full keeps the beats, whose room is taken already."""
        with self._writing, contextlib.suppress(OSError):
            self._beats += 1
            facts = {"token": self._token, "beats": self._beats, "reached": self._reached, "state": self._state}
            text = json.dumps(facts | {"host": socket.gethostname(), "process": os.getpid()}, ensure_ascii=False)
            content = text.encode("utf-8", "backslashreplace").ljust(_LENGTH)
            file = os.open(self._folder / str(self.index), os.O_CREAT | os.O_WRONLY, 0o644)
            try:
                os.write(file, content)
            finally:
                os.close(file)

    def _read(self, other: int) -> dict[str, Any] | None:
        """What another process of this start says of itself."""
        found = self._parse(other)
        return found if found and found["token"] == self._token else None

    def _parse(self, other: int) -> dict[str, Any] | None:
        try:
            found = json.loads((self._folder / str(other)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None


ALONE = Team()


def team_of(path: pathlib.Path) -> Team:
    """The processes that JAX knows of, for a run's directory."""
    count = jax.process_count()
    return ALONE if count == 1 else Team(path / "processes", jax.process_index(), count)


@contextlib.contextmanager
def joined(team: Team) -> Iterator[Team]:
    """Within it the processes work together; all come to its end before one leaves.

    Raises:
      StoppedError: if another process leaves before that.
      ValueError: if process 0 is not heard of.
    """
    if team.count == 1:
        yield team
        return
    team.start()
    try:
        yield team
        team.wait()
    except BaseException as error:
        team.leave(one_line(str(error))[:150] or type(error).__name__)
        raise
    team.leave()
