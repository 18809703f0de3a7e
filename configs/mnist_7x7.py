"""MNIST at 7 x 7 pixels by a small perceptron: the network of the second study's penalty on eigenvalues (2103.03386).

Command: python -m experiments.run --config=configs/mnist_7x7.py --config.data.dir=<folder with mnist/>
Time on 2 cores: half a minute
Expect: n-cut at k = 12 10.020 +- .045 unpruned, z about -.5 against `layer`, test accuracy .957 +- .002 (2103.03386, 10
trainings); ours 10.040 +- .027, z -.4, .958 +- .002, and 7.26 +- .13 pruned, z -1.5, .932
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {
        "data.name": "mnist_7x7",
        "model.widths": (49, 64, 64, 64, 10),
        "train.epochs": 10,
        "prune.epochs": 10,
        "cluster.measures": ("ncut", "modularity"),
        "cluster.num_clusters": (12,),
        "cluster.methods": ("layer",),
        "cluster.num_shuffles": 50,
        "cluster.curve_epochs": (),
    }
    return study.get_config(variant, settings | study.NO_LESIONS)
