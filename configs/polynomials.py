"""Polynomials of two variables, a regression: all 512 sums of the monomials x^a y^b with a and b up to 2 (2103.03386).

The study clusters the trained networks alone; pruning is ours. Losses are mean squared errors over all targets.

Command: python -m experiments.run --config=configs/polynomials.py
Time on 2 cores: TIME
Expect: n-cuts are not published in a form we have; OURS
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    settings = {"data.name": "polynomials", "model.widths": (2, 256, 256, 256, 256, 512)}
    return study.get_config(variant, settings | study.NO_LESIONS)
