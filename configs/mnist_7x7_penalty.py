"""MNIST at 7 x 7 pixels, penalised for its graph's eigenvalues, with units of one size before every step (2103.03386).

Three weights of the penalty in one program: 0, which renormalizes alone; 0.05, the force of the published code, whose
gradient is half of what its weight of 0.1 says; 0.1.

Command: python -m experiments.run --config=configs/mnist_7x7_penalty.py --config.data.dir=<folder with mnist/>
Time on 2 cores: two minutes
Expect: n-cut at k = 12 8.928 +- .478 unpruned at the published force, z +2.7 against `layer`, test accuracy .959
(2103.03386, 10 trainings); configs/mnist_7x7.py has the networks without either
"""

import ml_collections

from configs import mnist_7x7

SETTINGS = {
    "train.recipe": "renormalized_eigenvalue_penalty",
    "train.eigenvalue_weight": (0.0, 0.05, 0.1),
}


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    config = mnist_7x7.get_config(variant)
    config.update_from_flattened_dict(SETTINGS)
    return config
