"""100 untrained networks at k = 4 and 12, no lesions; noise stands in for data, which they do not depend on.

Of the controls `layer` alone: no weight is 0 yet.

Command: python -m experiments.run --config=configs/initial.py
Time on 2 cores: about 1 minute
Expect: n-cut 2.349 +- .022 at k = 4 (2003.04881, over 200) and 10.295 +- .032 at k = 12 (2103.03386, over 100); ours
2.351 +- .025 and 10.287 +- .037, with p <= .05 in 6 and 5 of the 100.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {
        "data.name": "random",
        "data.num_train": 1000,
        "train.num_seeds": 100,
        "train.epochs": 0,
        "prune.epochs": 0,
        "cluster.phases": ("init",),
        "cluster.methods": ("layer",),
        "cluster.curve_epochs": (),
        "cluster.num_shuffles": 19,
    }
    return study.get_config(variant, settings | study.NO_LESIONS)
