"""What the benchmark `cold` starts by its path: one task in a fresh process, from whatever checkout leads PYTHONPATH.

    python -P cold_child.py '{"task": ..., "checkout": ..., "out": ..., "started": ..., ...}'

Writes one JSON object to the file `out`. Of its own checkout it takes nothing but the two files named below.
"""

import importlib.util
import json
import pathlib
import runpy
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

_HERE = pathlib.Path(__file__).resolve().parent
_NUM_CLUSTERS = 4


def main(settings: dict[str, Any]) -> None:
    """Do the task and write what it took."""
    watch = _beside("../../modularity_jax/runs/compilation.py").CompileWatch()
    with watch:
        _import_from(pathlib.Path(settings["checkout"]))
        TASKS[settings["task"]](settings)
        found = {
            "seconds": time.time() - settings["started"],
            "cpu_seconds": time.process_time(),
            "compile_seconds": watch.seconds,
            "compile_cpu_seconds": watch.cpu_seconds,
            "trace_seconds": watch.tracing,
            "programs": watch.programs,
        }
    pathlib.Path(settings["out"]).write_text(json.dumps(found), encoding="utf-8")


def _import(settings: dict[str, Any]) -> None:
    """Nothing but the import, which comes before each task."""


def _cluster(settings: dict[str, Any]) -> None:
    import jax

    import modularity_jax as mj

    graph = mj.LayeredGraph.from_weights(_kernels(settings))
    jax.block_until_ready(mj.cluster(graph, jax.random.key(0), num_clusters=_NUM_CLUSTERS))


def _shuffle_test(settings: dict[str, Any]) -> None:
    import jax

    import modularity_jax as mj

    graph = mj.LayeredGraph.from_weights(_kernels(settings))
    test = mj.shuffle_test(graph, jax.random.key(0), num_clusters=_NUM_CLUSTERS, num_shuffles=settings["num_shuffles"])
    jax.block_until_ready(test)


def _digits(settings: dict[str, Any]) -> None:
    """The demo, as its command line runs it."""
    import experiments

    # Older checkouts look for configs in the current folder only.
    config = pathlib.Path(experiments.__path__[0]).parent / "configs" / "digits.py"
    given = [f"--workdir={settings['workdir']}", f"--config={config}", *settings["digits_flags"]]
    sys.argv = ["experiments.run", *given]
    try:
        runpy.run_module("experiments.run", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise


TASKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "import": _import,
    "cluster": _cluster,
    "shuffle_test": _shuffle_test,
    "digits": _digits,
}


def _kernels(settings: dict[str, Any]) -> Any:
    return _beside("study_net.py").pruned_kernels(settings["widths"])


def _import_from(checkout: pathlib.Path) -> None:
    """Import the library, which must be the checkout's: the environment may hold another one."""
    import modularity_jax

    found = pathlib.Path(modularity_jax.__file__ or "").resolve()
    if checkout.resolve() not in found.parents:
        raise ImportError(f"modularity_jax came from {found}, and not from {checkout}")


def _beside(name: str) -> ModuleType:
    """A module of the checkout that this file belongs to, whatever `import` would find."""
    path = (_HERE / name).resolve()
    spec = importlib.util.spec_from_file_location(f"measuring_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
