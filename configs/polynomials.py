"""Polynomials of two variables, a regression: all 512 sums of the monomials x^a y^b with a and b up to 2 (2103.03386).

The study clusters the trained networks alone; pruning is ours. Losses are mean squared errors over all targets.

Command: python -m experiments.run --config=configs/polynomials.py
Time on 2 cores: 10 seeds train in 12 minutes and cluster in 18 beside other work
Expect: n-cuts are not published in a form we have; ours at k = 12 9.896 +- .029 unpruned, z -18 against `layer`, and
8.11 +- .19 pruned, z -42, with test losses of .04 and .02 (19.1 at initialisation); at k = 4 2.296 +- .020 and 1.75 +-
.23
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {"data.name": "polynomials", "model.widths": (2, 256, 256, 256, 256, 512)}
    return study.get_config(variant, settings | study.NO_LESIONS)
