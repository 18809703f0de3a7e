"""Weights -> graph -> embedding -> labels -> n-cut -> controls -> statistics; needs jax, numpy and scipy only."""
