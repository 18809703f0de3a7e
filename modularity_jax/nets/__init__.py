"""Networks: the Flax MLP, magnitude pruning, training over seeds and devices."""
