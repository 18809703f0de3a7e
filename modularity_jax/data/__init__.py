"""Data sets as arrays: handwritten digits, MNIST and its kin, CIFAR-10, synthetic sets, two images in one, mixtures."""

from modularity_jax.data.dataset import Dataset
from modularity_jax.data.registry import known_names, load

__all__ = ["Dataset", "known_names", "load"]
