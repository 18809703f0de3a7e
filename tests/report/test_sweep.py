import numpy as np
import pandas as pd
import pytest
import scipy.stats

from modularity_jax.report.findings.sweep import effects
from tests.report import made


def run_of(seeds, missing=()):
    """Two rates times two sparsities times seeds; values rise by a tenth of the rate, and a noise of the seed's own."""
    rows, noise = [], np.random.default_rng(0).normal(0, 0.01, seeds)
    for number, (rate, sparsity) in enumerate((rate, sparsity) for rate in (0.0, 0.5) for sparsity in (0.8, 0.9)):
        for seed in range(seeds):
            value = 2 + 0.1 * rate + (rate > 0) * noise[seed] + (sparsity == 0.9)
            own = {"seed": number * seeds + seed, "dropout_rate": rate, "final_sparsity": sparsity}
            if own["seed"] not in missing:
                rows.append(own | {"observed": value, "shuffled_mean": 1.5 + (sparsity == 0.9)})
    sweep = made.tests_of(rows)
    axes = {"dropout_rate": (0.0, 0.5), "final_sparsity": (0.8, 0.9)}
    return made.run_of(rows, sweep=sweep, axes=axes, config={"train": {"num_seeds": seeds}}), noise


def test_changes_are_of_the_same_seeds_and_their_intervals_are_students():
    run, noise = run_of(5)
    found = effects(run).set_index(["axis", "at"])
    row = found.loc["dropout_rate", 0.5]
    changes = 0.05 + noise
    low, high = scipy.stats.t.interval(0.95, 4, loc=changes.mean(), scale=scipy.stats.sem(changes))
    np.testing.assert_allclose([row.change, row.change_low, row.change_high], [changes.mean(), low, high])
    assert row.value == pytest.approx(2.55 + noise.mean())
    assert row.controls == 2.0
    assert pd.isna(found.loc["dropout_rate", 0.0].change)
    other = found.loc["final_sparsity", 0.9]  # value and controls rise alike
    np.testing.assert_allclose([other.change, other.change_low, other.change_high], 0, atol=1e-12)


def test_a_single_seed_has_no_interval_and_a_missing_network_no_pair():
    run, _ = run_of(1)
    row = effects(run).set_index(["axis", "at"]).loc["dropout_rate", 0.5]
    assert not pd.isna(row.change)
    assert pd.isna(row.change_low)
    run, noise = run_of(4, missing=(0,))  # at rate 0, sparsity 0.8
    row = effects(run).set_index(["axis", "at"]).loc["dropout_rate", 0.5]
    assert row.change == pytest.approx((0.05 + noise).mean())  # that seed's other pair is left
