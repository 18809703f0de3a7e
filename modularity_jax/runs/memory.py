"""How many networks, controls or samples are computed at once, and what happens when the memory does not hold them."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import jax
from absl import logging

from modularity_jax.runs.workdir import Workdir, group_size, read_versions, record

T = TypeVar("T")

# What "auto" takes on CPU cores, which do not tell their memory: the fastest that was measured there, and the smallest
# that is of use.
ON_CPU = {"train.seeds_per_group": 1, "cluster.shuffles_per_group": 1, "lesion.samples_per_batch": 500}
# Beyond it a device has enough to do: a guess, we had none.
_MOST = {"train.seeds_per_group": 64, "cluster.shuffles_per_group": 256, "lesion.samples_per_batch": 8000}
SHARE = 0.75  # of the device's memory; the rest is for what other programs hold
_PROBES = 4, 8  # times the size of `ON_CPU`: two programs whose memory tells that of larger ones


def choose(workdir: Workdir, setting: str, most: int, bytes_at: Callable[[int], int]) -> None:
    """Choose a group size that the config leaves open, and note it in versions.json; else do nothing.

    The largest power of two times `ON_CPU` whose program takes no more than `SHARE` of a device's memory. The memory is
    taken from the compiler's account at two sizes, in which it is nearly linear; a choice that is too large is halved
    by `with_room`.

    Args:
      workdir: the run.
      setting: of `config.GROUP_SIZES`.
      most: items that a device has at most.
      bytes_at: memory of the program for a group of a size.
    """
    if group_size(workdir, setting):
        return
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    smallest, chosen = ON_CPU[setting], ON_CPU[setting]
    if limit is not None:
        try:
            low, high = (bytes_at(smallest * probe) for probe in _PROBES)
            chosen = largest_group(SHARE * limit, smallest, min(most, _MOST[setting]), low, high)
        except NotImplementedError as error:
            logging.warning("%s: auto takes %d, since %s", setting, chosen, error)
    logging.info("%s: auto takes %d", setting, chosen)
    _note(workdir, setting, chosen)


def largest_group(limit: float, smallest: int, most: int, low: int, high: int) -> int:
    """The group size of `choose`.

    Args:
      limit: bytes that the program may take.
      smallest: the least size; others are this times a power of two.
      most: there is no use in a larger one.
      low, high: bytes that the program takes at 4 and 8 times `smallest`.
    """
    each = max(high - low, 1) / ((_PROBES[1] - _PROBES[0]) * smallest)
    fixed = low - each * _PROBES[0] * smallest
    size = smallest
    while size < most and fixed + each * 2 * size <= limit:
        size *= 2
    return size


def with_room(workdir: Workdir, setting: str, work: Callable[[int], T]) -> T:
    """What work(group size) gives; where the memory does not hold the group, with half of it, then a quarter, ...

    The smaller size is noted in versions.json, because it rounds differently, and taken from then on.

    Raises:
      ValueError: if a group of one does not fit.
    """
    while True:
        size = group_size(workdir, setting)
        try:
            return work(size)
        except jax.errors.JaxRuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise ValueError(f"out of memory even with {setting}=1: {str(error).splitlines()[0]}") from error
            logging.warning(
                "out of memory with %s=%d; going on with %d, which rounds differently", setting, size, size // 2
            )
            _note(workdir, setting, size // 2, was=size)


def is_out_of_memory(error: jax.errors.JaxRuntimeError) -> bool:
    """Whether memory is what was missing; with several CPU devices the error has no code of its own for it."""
    return "RESOURCE_EXHAUSTED" in str(error) or "Out of memory" in str(error)


def _note(workdir: Workdir, setting: str, size: int, was: int | None = None) -> None:
    versions = read_versions(workdir)
    facts: dict[str, Any] = {"group_sizes": versions.get("group_sizes", {}) | {setting: size}}
    if was is not None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}: {setting} {was} to {size}, out of memory"
        facts["out_of_memory"] = [*versions.get("out_of_memory", []), line]
    record(workdir, facts)
