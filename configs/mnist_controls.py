"""MNIST against all eight controls within layers, those with weights drawn anew included, at k = 4 and 12; no lesions.

Command: python -m experiments.run --config=configs/mnist_controls.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in some 20 (reckoned)
Expect: pruned z at k = 4 about -2.7 against `layer` and -2.5 against `layer_nonzero`, with dropout -12 and -6
(2003.04881); at k = 12 -9.7 against `layer`, with dropout -24 (2103.03386); others not published in a form we have.
"""

import ml_collections

from configs import study
from modularity_jax.metric.methods import METHODS


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    methods = tuple(name for name, own in METHODS.items() if not (own.across_blocks or own.remade))
    return study.get_config(variant, {"cluster.methods": methods} | study.NO_LESIONS)
