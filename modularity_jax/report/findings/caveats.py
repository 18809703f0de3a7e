"""What weakens a run's shuffle tests: controls that could not be compared, eigenvectors that did not converge."""

import pandas as pd

from modularity_jax.report.frames import KEYS
from modularity_jax.report.prose import say


def caveats(clusterability: pd.DataFrame) -> list[str]:
    """Sentences on the rows of `clusterability.csv`, those without a p included; none where nothing is amiss."""
    sentences = []
    for key, rows in clusterability.groupby(KEYS, observed=True):
        left_out, unsure = rows[rows["num_left_out"] > 0], rows[rows["converged"].eq(False).fillna(False)]
        if not left_out.empty:
            counts = left_out["num_left_out"]
            without = left_out.loc[left_out["p_value"].isna(), "seed"]
            count = "–".join(dict.fromkeys((str(counts.min()), str(counts.max()))))
            of = left_out["num_shuffles"].iloc[0]
            sentences.append(say("left_out_controls", key, count, of, list(left_out["seed"]), list(without)))
        if not unsure.empty:
            sentences.append(say("not_converged", key, list(unsure["seed"])))
    return sentences
