"""Two processes of two devices under `jax.distributed`: each runs a program that says what it found."""

import json
import socket
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
import jax, numpy as np
from modularity_jax import parallel
from modularity_jax.nets.sweep import seed_mesh
from modularity_jax.runs import hosts, signals

index = int(sys.argv[2])
jax.config.update("jax_num_cpu_devices", 2)
hosts.connect(sys.argv[1], 2, index)


def words(fn):
    try:
        return fn()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def fails(where, error):
    def fn():
        if index == where:
            raise error
        return index
    return words(lambda: hosts.agreed(fn))


def nested():
    return hosts.told_by_first(lambda: index) + hosts.told_by_first(lambda: 10)


def refuse():
    raise OSError(28, "No space left on device", "a file")


found = {
    "told": [hosts.told_by_first(lambda: (index, "x" * size)) == (0, "x" * size) for size in (0, 4000, 5000, 10**6)],
    "nested": hosts.told_by_first(nested),
    "refused": words(lambda: hosts.told_by_first(refuse)),
    "agreed": words(lambda: hosts.agreed(lambda: index)),
    "first fails": fails(0, ValueError("no such thing")),
    "second fails": fails(1, FileNotFoundError("no data")),
}
mesh = seed_mesh()
keys = jax.random.split(jax.random.key(0), 4)
parts = parallel.over_devices((np.arange(8).reshape(4, 2), keys), mesh)
whole = parallel.on_all_devices(np.arange(3), mesh)
found["devices"] = mesh.size
found["held"] = [len(x.addressable_shards) for x in (parts[0], whole)]
found["gathered"] = parallel.gather(parts[0]).tolist()
found["mapped"] = parallel.gather(jax.jit(
    lambda x, s: parallel.grouped_map(lambda x, s: x.sum() + s.sum(), x, s, group_size=1, mesh=mesh)
)(parts[0], whole)).tolist()
found["uniform"] = parallel.gather(jax.jit(jax.vmap(jax.random.uniform))(parts[1])).tolist()
expected = jax.vmap(jax.random.uniform)(keys)
found["expected"] = np.asarray(expected).tolist()
print(json.dumps(found), flush=True)
hosts.disconnect(index * 7)
"""


@pytest.fixture(scope="module")
def found():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM, address, str(index)], stdout=subprocess.PIPE, text=True)
        for index in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 7]
    return [json.loads(text.splitlines()[-1]) for text in said]  # Gloo speaks before


def test_what_the_first_says_all_know(found):
    for own in found:
        assert own["told"] == [True] * 4
        assert own["nested"] == 10
        assert own["refused"] == "OSError: [Errno 28] No space left on device: 'a file'"


def test_what_one_cannot_do_ends_all(found):
    assert [own["agreed"] for own in found] == [0, 1]
    first, second = ([own[name] for own in found] for name in ("first fails", "second fails"))
    assert first == ["ValueError: no such thing", "ValueError: process 0 of 2: no such thing"]
    assert second == ["ValueError: process 1 of 2: no data", "FileNotFoundError: no data"]


def test_arrays_of_all_devices(found):
    for own in found:
        assert own["devices"] == 4
        assert own["held"] == [2, 2]
        assert own["gathered"] == [[0, 1], [2, 3], [4, 5], [6, 7]]
        assert own["mapped"] == [4, 8, 12, 16]
        assert own["uniform"] == own["expected"]
