"""Paths as users write them."""

import os
import pathlib
import re

# Two letters at least, which tells a scheme from a drive; one slash, because pathlib has eaten the other by then.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(name: str, path: str | os.PathLike[str]) -> pathlib.Path:
    """A path on this machine, "~" and "~user" replaced by the home directory.

    Args:
      name: of the flag or argument, for the message.
      path: as it was given.

    Raises:
      ValueError: if it has a scheme, as "gs://bucket/runs", or its home directory is not known.
    """
    if _SCHEME.match(str(path)):
        raise ValueError(
            f"{name} must be a path on this machine, got {str(path)!r}; give one without a scheme, where a bucket is "
            "mounted or its files were copied to"
        )
    try:
        return pathlib.Path(path).expanduser()
    except RuntimeError:
        raise ValueError(f"{name}: the home directory of {str(path)!r} is not known; give the whole path") from None
