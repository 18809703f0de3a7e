"""Lines: images of 1 to 10 vertical lines, to be counted; generated, no download.

Command: python -m experiments.run --config=configs/lines.py
Time on 2 cores: as configs/mnist.py, about 11 minutes for 4 seeds, 7 of them lesions
Expect: n-cut at k = 4 about 1.60 pruned, test accuracy 1.0, little below the `layer` controls (z about -1.4;
2003.04881); ours, 10 seeds, 1.576 +- .050, z -1.5, and 2.193 +- .030, z -7.4, unpruned.
"""

import ml_collections

from configs import study


def get_config(variant: str = "") -> ml_collections.ConfigDict:
    """The config; `study.get_config` tells what a variant is made of."""
    return study.get_config(variant, {"data.name": "lines"})
