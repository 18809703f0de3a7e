"""The command line as users write it, made what ml_collections takes."""

import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from absl import flags
from ml_collections.config_flags import tuple_parser

from modularity_jax.data.paths import local_path
from modularity_jax.runs.config import GROUP_SIZES, check_setting

_CONFIG = ("--config", "-config")
_CHECKOUT = pathlib.Path(__file__).resolve().parents[1]


class NumberOrTuple(flags.FloatParser):
    """Takes a number, or a tuple of them to be swept over: "(0, .25, .5)"."""

    def parse(self, argument: Any) -> Any:
        """The number or the tuple."""
        is_tuple = isinstance(argument, str) and argument.strip().startswith(("(", "["))
        return tuple_parser.TupleParser().parse(argument) if is_tuple else super().parse(argument)


def prepare(arguments: Sequence[str]) -> list[str]:
    """The arguments, with --config's file where it is and numbers for the word "auto".

    Raises:
      ValueError: that names a setting that there is not, or a path that is not on this machine.
    """
    _check_overrides(arguments)
    return [_without_auto(argument) for argument in _with_config_found(arguments)]


def _check_overrides(arguments: Sequence[str]) -> None:
    """Refuse unknown settings; ml_collections would, with a traceback, while the flag is defined."""
    for argument in arguments:
        if found := re.match(r"--?config\.([\w.]+)", argument):
            check_setting(found[1])


def _without_auto(argument: str) -> str:
    """The number for the word, which ml_collections would refuse for a field that holds numbers."""
    found = re.fullmatch(r"(--?config\.([\w.]+))=auto", argument)
    return f"{found[1]}=0" if found and found[2] in GROUP_SIZES else argument


def _with_config_found(arguments: Sequence[str]) -> list[str]:
    """The arguments, with --config's file where it is."""
    found, before = [], ""
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        if equals and flag in _CONFIG:
            argument = f"{flag}={find_config(value)}"
        elif before in _CONFIG:
            argument = find_config(argument)
        found.append(argument)
        before = argument
    return found


def find_config(given: str) -> str:
    """A config's file, with its variant, as given; where there is none, the one of that name in the checkout."""
    if not given:
        return given
    path = local_path("--config", given)
    file, colon, variant = str(path).partition(":")
    ours = _CHECKOUT / file
    return f"{ours}{colon}{variant}" if ours.exists() and not os.path.exists(file) else str(path)
