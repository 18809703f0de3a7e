"""MNIST at k = 2, 4, 7, 10 and 12, against `layer`; no lesions.

Command: python -m experiments.run --config=configs/mnist_k.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 3
Expect: pruned n-cut 2.00 (z -2.7) at k = 4, 4.56 (-6.5) at 7 and 8.88 (-9.7) at 12, with dropout 1.84 (-12), 4.22 (-22)
and 8.35 (-24); no effect at k = 2 (2003.04881 and 2103.03386). Those at 2 and 10 are not published in a form we have.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {"cluster.num_clusters": (2, 4, 7, 10, 12), "cluster.methods": ("layer",)}
    return study.get_config(variant, settings | study.NO_LESIONS)
