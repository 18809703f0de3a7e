"""How many items are computed at once where the caller leaves it open: by platform and memory.

On CPU cores one is fastest, since a core is busy with it; an accelerator is filled, as far as its memory goes.
"""

import jax

# Of the memory that a device has for JAX; the rest is for the data and for what the compiler sets aside.
SHARE = 0.5
UNKNOWN_BYTES = 8 * 10**9  # of a device that does not tell
# Beyond it an accelerator has enough to do: 64, 256 and 1,024 controls took .43, .21 and .18 ms each on an H100.
MOST_CONTROLS = 256


def controls_at_once(num_weights: int, num_nodes: int, num_clusters: int, num_restarts: int) -> int:
    """Controls of a graph under one vmap."""
    if on_cpu():
        return 1
    # Weights while they are dealt and multiplied, and the places of all restarts' centres.
    each = 32 * num_weights + 16 * num_nodes * num_clusters * num_restarts
    return max(1, min(MOST_CONTROLS, room() // each))


def on_cpu() -> bool:
    """Whether JAX computes on CPU cores."""
    return jax.default_backend() == "cpu"


def room() -> int:
    """Bytes of a device that groups may take."""
    limit = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit", UNKNOWN_BYTES)
    return int(SHARE * limit)
