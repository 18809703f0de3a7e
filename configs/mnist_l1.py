"""MNIST with an L1 penalty of 5e-5 on the kernels (2103.03386).

Command: python -m experiments.run --config=configs/mnist_l1.py --config.data.dir=<folder with mnist/>
Time on 2 cores: 10 seeds train in 3 minutes and cluster in 6, lesions take 17
Expect: n-cuts are not published in a form we have; those without a penalty stand in configs/mnist.py.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"train.l1_penalty": 5e-5})
