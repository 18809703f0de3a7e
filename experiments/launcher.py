"""What all launchers share: flags and one-line errors."""

import logging as py_logging
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import ml_collections
from absl import app, flags, logging
from flax.traverse_util import flatten_dict
from ml_collections import config_flags

from experiments import end_at_once
from experiments.arguments import NumberOrTuple, find_config, prepare
from experiments.devices import check_platform, keep_compiled_programs, use_all_cores
from experiments.exit_codes import outcome_of
from experiments.streams import make_printable
from modularity_jax.data.dataset import one_line
from modularity_jax.data.paths import local_path
from modularity_jax.runs import signals
from modularity_jax.runs.config import RunConfig, from_dict
from modularity_jax.runs.hosts import connect, disconnect
from modularity_jax.runs.session import opened
from modularity_jax.runs.workdir import Workdir

_WORKDIR = flags.DEFINE_string("workdir", None, "The run's directory; runs/<config's name> by default.")
_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Share the run with the same command on other hosts, or in other terminals."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0; Slurm, Open MPI, GKE and Cloud TPU are asked by JAX itself."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many processes share the run; as --coordinator.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "This process's number, from 0; as --coordinator.")
_TRACEBACK = flags.DEFINE_bool("traceback", False, "Show where an error came from.")

_QUOTES = "\"'"


def define_config(default: str = "configs/digits.py") -> None:
    """Define --config; only launchers that start a run take it, the others read the workdir's config.json."""
    _prepare()
    config_flags.register_flag_parser_for_type(float, NumberOrTuple())
    config_flags.DEFINE_config_file(
        "config", find_config(default), "The experiment, e.g. configs/mnist.py or configs/mnist.py:quick."
    )


def define_settings(settings: Mapping[str, Any], workdir: str) -> None:
    """Define --config.<section>.<field> for these sections alone, without a file, and a default of --workdir."""
    _prepare()
    given = ml_collections.ConfigDict(settings, type_safe=False)
    try:
        config_flags.DEFINE_config_dict("config", given, "The settings.")
    except (AttributeError, KeyError) as error:
        known = ", ".join(flatten_dict(dict(settings), sep="."))
        _fail(f"this launcher has no setting {str(error).strip(_QUOTES)} of a config; it has {known}", 2)
    flags.set_default(_WORKDIR, workdir)


def _prepare() -> None:
    try:
        sys.argv[1:] = prepare(sys.argv[1:])
    except ValueError as error:
        _fail(error, 2)
    flags.DEFINE_string(
        "fork_workdir", None, "A new directory for the run, with all of --workdir that is valid under --config."
    )


def workdir_path() -> pathlib.Path:
    """--workdir, which a launcher without --config cannot do without."""
    if not _WORKDIR.value and "config" not in flags.FLAGS:
        raise ValueError("--workdir must name a run's directory, got none")
    return workdir_or("" if _WORKDIR.value else f"runs/{_config_name()}")


def workdir_or(default: str) -> pathlib.Path:
    """--workdir, or a default."""
    return local_path("--workdir", _WORKDIR.value or default)


def config_of_flags() -> RunConfig | None:
    """--config, where the launcher takes one."""
    return from_dict(flags.FLAGS.config.to_dict()) if "config" in flags.FLAGS else None


def launch(main: Callable[[Workdir], None], config_of: Callable[[], RunConfig | None] = config_of_flags) -> None:
    """Run main(workdir) on the flags' workdir, which no other run may write meanwhile."""

    def run(arguments: Sequence[str]) -> None:
        if arguments:
            _fail(f"unknown argument {arguments[0]!r}; settings are given as --config.<section>.<field>=<value>", 2)
        config = config_of()
        path, donor = workdir_path(), None
        if config:
            local_path("--config.data.dir", config.data.dir)
        if config and flags.FLAGS.fork_workdir:
            path, donor = local_path("--fork_workdir", flags.FLAGS.fork_workdir), path
        signals.install()
        with opened(path, config, donor) as workdir:
            main(workdir)

    start(run)


def start(main: Callable[[Sequence[str]], None]) -> None:
    """Parse the flags and run main(arguments); bad input ends with one line on stderr and exit code 1 or 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    logging.get_absl_handler().addFilter(_is_ours)
    py_logging.getLogger("jax").setLevel(py_logging.WARNING)
    make_printable()

    def run(argv: Sequence[str]) -> None:
        try:
            for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is end_at_once:
                    signal.signal(number, handler)
            keep_compiled_programs()
            use_all_cores()
            _connect()
            check_platform()
            main(argv[1:])
        except (Exception, KeyboardInterrupt) as error:
            outcome = outcome_of(error)
            if outcome is None or (_TRACEBACK.value and not isinstance(error, signals.StoppedError)):
                raise
            _fail(*outcome)
        disconnect()

    app.run(run, flags_parser=_parse)


def _connect() -> None:
    """Meet the other processes, where there are any."""
    given = _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value
    if _DISTRIBUTED.value:
        connect(*given)
    elif given != (None, None, None):
        raise ValueError("--coordinator, --num_processes and --process_id need --distributed")


def _is_ours(record: py_logging.LogRecord) -> bool:
    """Orbax tells every step of every checkpoint; its warnings stay."""
    return record.levelno >= py_logging.WARNING or f"{os.sep}orbax{os.sep}" not in record.pathname


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except (flags.Error, ValueError, AttributeError, KeyError, TypeError, OSError, SyntaxError) as error:
        _fail(error, 2)


def _fail(error: object, code: int) -> NoReturn:
    text = str(error)
    if "Traceback (most recent call last)" in text:  # ml_collections quotes the one of a config file that fails
        text = text.strip().splitlines()[-1]
    sys.stderr.write(f"error: {one_line(text)}\n")
    disconnect(code)
    sys.exit(code)


def _config_name() -> str:
    """File name and variant of --config, as a folder's name."""
    file, _, variant = config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")
    return "-".join(filter(None, (pathlib.Path(file).stem, variant)))
