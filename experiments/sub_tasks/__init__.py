"""Masks of sub-tasks: what of a network each of several things that it does needs."""
