"""MNIST by layered modularity beside the n-cut, at k = 2, 4, 7, 12, against the six controls that permute; no lesions.

Command: python -m experiments.run --config=configs/mnist_modularity.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 6 to 8 minutes; at k = 4 and 12, 19 shuffles take 19 beside other work
Expect: docs/results.md, "Modularity beside the n-cut".
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {
        "cluster.phases": ("unpruned", "pruned"),
        "cluster.measures": ("ncut", "modularity"),
        "cluster.num_clusters": (2, 4, 7, 12),
        "cluster.methods": ("layer", "layer_nonzero", "row", "column", "degrees", "strengths"),
        "cluster.num_shuffles": 99,
        "cluster.refine": True,
        "cluster.curve_epochs": (),
        "train.num_seeds": 10,
    }
    return study.get_config(variant, settings | study.NO_LESIONS)
