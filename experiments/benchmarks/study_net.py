"""A network of the study's shape without its training, and one of any width: both need only NumPy."""

from collections.abc import Sequence

import numpy as np

WIDTHS = 784, 256, 256, 256, 256, 10
SPARSITY = 0.9


def pruned_kernels(widths: Sequence[int] = WIDTHS, sparsity: float = SPARSITY, seed: int = 0) -> list[np.ndarray]:
    """Kernels as pruning leaves them, float32: of heavy-tailed random values the largest magnitudes of each.

    Shuffled, they are what a trained and pruned network's weights are, shuffled, but for the neurons that training cut
    off: enough for a clock, and for a comparison with float64.
    """
    rng = np.random.default_rng(seed)
    kernels = []
    for shape in zip(widths, widths[1:], strict=False):
        kernel = rng.laplace(scale=1 / np.sqrt(shape[0]), size=shape).astype(np.float32)
        kernels.append(np.where(np.abs(kernel) >= np.quantile(np.abs(kernel), sparsity), kernel, np.float32(0)))
    return kernels


def pruned_params(widths: Sequence[int] = WIDTHS, sparsity: float = SPARSITY) -> dict[str, dict[str, np.ndarray]]:
    """The network of these kernels, without biases, as Flax has it."""
    return {
        f"layer_{layer:02d}": {"kernel": kernel, "bias": np.zeros(kernel.shape[1], np.float32)}
        for layer, kernel in enumerate(pruned_kernels(widths, sparsity))
    }
