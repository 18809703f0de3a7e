"""Labels of the samples that lesions are measured on, and the classes that sums are taken over."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from modularity_jax.graphs import checks

Array = jax.Array

# Beyond so many different whole numbers, labels are values rather than classes.
MAX_CLASSES = 1000


def accuracy(logits: Array, labels: Array) -> Array:
    """Whether each sample is classified rightly: 1 or 0, [B]; logits [B, C], labels [B]."""
    return (logits.argmax(axis=-1) == labels).astype(jnp.float32)


def sample_labels(y: ArrayLike, count: int, outputs: int, *, needs_classes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Labels as the metric gets them, [n] or [n, ...], and membership [n, C] of the classes that are summed over.

    Of `count` samples of a network with so many outputs. Classes 0..outputs - 1 always pass. Where the metric needs
    none, so does whatever has one entry per sample: strings become the codes of their sorted names; booleans and whole
    numbers from 0 to `MAX_CLASSES` - 1 are classes; all else is of one class.

    Raises:
      ValueError: if y has another length, or is none of what passes; the message says what to pass instead.
    """
    y = np.asarray(checks.as_array("y", y))
    if not count or y.shape[:1] != (count,):
        raise ValueError(f"y must have shape ({count},) with at least one class, got {y.shape}")
    if needs_classes:
        check_classes(y, count, outputs)
    if y.dtype.kind in "USO":
        names, y = np.unique(y.astype(str), return_inverse=True)
        outputs = len(names)
    if not (y.ndim == 1 and y.dtype.kind in "biu" and y.min() >= 0 and y.max() < max(MAX_CLASSES, outputs)):
        return y, np.ones((count, 1), np.float32)
    return y, np.eye(max(outputs, int(y.max()) + 1), dtype=np.float32)[y.astype(np.int64)]


def check_classes(y: np.ndarray, count: int, outputs: int) -> None:
    """Classes 0..outputs - 1, [n]."""
    own = "or a metric of your own"
    if y.ndim > 1:
        hint = "of one-hot rows pass y.argmax(axis=1)" if y.ndim == 2 and y.shape[1] > 1 else "pass y[:, 0]"
        raise ValueError(f"y must have shape ({count},), got {y.shape}; {hint}, {own}")
    if y.dtype.kind not in "iu":
        hint = "y.astype(int) where they are classes"
        if y.dtype.kind in "USO":
            codes = "np.unique(y, return_inverse=True)[1]"
            hint = f"codes in the order of the outputs, as {codes} are where that is alphabetical"
        raise ValueError(f"y must be integers, one class per sample, got {y.dtype}; pass {hint}, {own}")
    if y.min() < 0 or y.max() >= outputs:
        hint = "; pass y - 1" if y.min() == 1 and y.max() == outputs else ""
        if outputs == 1 and y.max() > 0:
            example = "lambda logits, y: ((logits[:, 0] > 0) == y).astype(float)"
            hint = f": the network has one output; pass a metric of your own, such as {example}"
        raise ValueError(f"y must lie in 0..{outputs - 1}, got {y.min()}..{y.max()}{hint}")
