"""Handwritten digits, 8 x 8, that ship inside scikit-learn: the demo, without a download.

Command: python -m experiments.run
Time on 2 cores: under a minute, compilation included.
Expect: pruned test accuracy about .97; pruned nets below their `layer` controls at k = 4 (see the README's table).
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; variant "quick" is a toy size."""
    config = study.get_config(variant)
    config.data.name = "digits"
    config.model.widths = (64, 64, 64, 64, 10)
    config.cluster.num_clusters = (4,)
    if variant != "quick":
        config.train.epochs = 40  # 12 steps each: the set is 40 times smaller than MNIST
        config.prune.epochs = 40
    return config
