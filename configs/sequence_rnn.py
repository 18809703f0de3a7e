"""Handwritten digits row by row: an LSTM of 64 units that reads 8 steps of 8 values, pruned, its units damaged.

The hidden block is recurrent: its weights in both directions and of all gates add up. --config.model.name=rnn takes a
plain network, --config.data.name=mnist --config.model.widths="(784, 64, 10)" 28 steps.

Command: python -m experiments.run --config=configs/sequence_rnn.py
Time on 2 cores: 3 minutes
Expect: nobody has published n-cuts of these; test accuracy about .95
"""

import ml_collections

from configs import study

SETTINGS: study.Settings = {
    "data.name": "digits",
    "model.name": "lstm",
    "model.widths": (64, 64, 10),
    "train.num_seeds": 5,
    "train.epochs": 30,
    "train.batch_size": 32,
    "train.learning_rate": 0.005,
    "prune.epochs": 15,
    "cluster.measures": ("ncut", "modularity"),
    "cluster.num_clusters": (2, 4),
    "cluster.methods": ("layer", "strengths"),
    "cluster.curve_epochs": (),
}


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, SETTINGS)
