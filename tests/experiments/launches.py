"""Starts launchers one after the other from a process that has imported everything: each in a fork, quickly.

Reads a JSON list of command lines ("experiments.run", "--workdir=...") and prints a JSON list of exit code, standard
output and standard error.
"""

import json
import os
import runpy
import sys
import tempfile
import traceback

# All that takes time to import, Orbax and matplotlib among it, without starting JAX's devices.
import modularity_jax.report.figures.style
import modularity_jax.runs.checkpoints
import modularity_jax.runs.stages.inputs  # noqa: F401
from experiments import launcher  # noqa: F401


def launch(module, *arguments):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            os._exit(_run(module, arguments))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code, *(_read(file) for file in (out, err))


def _run(module, arguments):
    """What the interpreter does with `python -m module arguments`, down to the exit code."""
    sys.argv = [module, *arguments]
    code = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _read(file):
    file.seek(0)
    return file.read().decode()


if __name__ == "__main__":
    json.dump([launch(*command) for command in json.load(sys.stdin)], sys.stdout)
