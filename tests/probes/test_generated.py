"""Lesion tests of generated networks against networks rebuilt and run whole in float64: 360 inputs.

Weights and samples are small whole numbers times powers of two, so that float32 rounds nothing and ties are ties.
"""

import itertools

import hypothesis
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import strategies as st

import modularity_jax as mj
from modularity_jax.probes.verdicts import TAXONOMY
from tests import generated
from tests.generated import examples, refused
from tests.probes import slow

# Hidden layers of the same width share the programs that draw their controls.
WIDTHS, BOTTLENECK = (4, 5, 5, 3), (4, 1, 5, 3)
NUM_CLUSTERS, NUM_SHUFFLES, NUM_SAMPLES = 3, 4, 12
KEY = jax.random.key(0)
FORMS = {
    "float32": lambda a: a,
    "float64": lambda a: a.astype(np.float64),
    "float16": lambda a: a.astype(np.float16),
    "bfloat16": lambda a: a.astype(ml_dtypes.bfloat16),
    "int8": lambda a: a.astype(np.int8),
}


@st.composite
def networks(draw, widths=WIDTHS):
    """Params, labels, samples and classes; dead units, layers without a label and classes without a sample."""
    rng = np.random.default_rng(draw(generated.seeds()))
    density = draw(st.sampled_from([1.0, 0.5, 0.0]))
    params = {
        f"layer_{index:02d}": {
            "kernel": (rng.integers(-2, 3, shape) * (rng.random(shape) < density)).astype(np.float32),
            "bias": rng.integers(-2, 3, shape[1]).astype(np.float32),
        }
        for index, shape in enumerate(itertools.pairwise(widths))
    }
    low, high = draw(st.sampled_from([(0, NUM_CLUSTERS), (-1, NUM_CLUSTERS), (-1, 2), (-1, 1)]))
    labels = rng.integers(low, high, sum(widths))
    x = rng.integers(-3, 4, (NUM_SAMPLES, widths[0])).astype(np.float32)
    return params, labels, x, rng.integers(0, draw(st.integers(1, widths[-1])), NUM_SAMPLES)


def single(*network, **settings):
    given = {"num_clusters": NUM_CLUSTERS, "num_shuffles": NUM_SHUFFLES, "samples_per_batch": 5} | settings
    return mj.lesion_test(*network, given.pop("key", KEY), **given)


def double(*network, **settings):
    given = {"num_clusters": NUM_CLUSTERS, "num_shuffles": NUM_SHUFFLES, "samples_per_batch": 5} | settings
    return mj.double_lesion_test(*network, given.pop("key", KEY), **given)


def can_test(labels, widths):
    """Whether there is a live unit in each hidden layer and something to permute."""
    present = [set(own[own >= 0]) for own in slow.hidden(labels, widths)]
    return all(present) and max(len(clusters) for clusters in present) > 1


def assert_tests(found, testable, tail):
    """p from the controls' accuracies; found.accuracy [M], controls [R, M]."""
    controls = found.control_accuracy
    assert controls.shape == (NUM_SHUFFLES, len(found.accuracy))
    assert (controls >= 0).all()
    assert (controls <= 1).all()
    np.testing.assert_array_equal(np.isnan(found.p_value), ~testable)
    np.testing.assert_array_equal(np.isnan(found.p_adjusted), ~testable)
    np.testing.assert_array_equal(np.isnan(found.z_score), ~testable)
    expected = (1 + tail(controls, found.accuracy).sum(axis=0)) / (NUM_SHUFFLES + 1)
    np.testing.assert_allclose(found.p_value[testable], expected[testable])
    assert (found.p_adjusted[testable] >= found.p_value[testable] - 1e-9).all()
    assert (found.p_adjusted[testable] <= 1).all()
    np.testing.assert_allclose(found.control_mean, controls.mean(axis=0))
    np.testing.assert_allclose(found.control_std, controls.std(axis=0), atol=1e-12)
    varied = testable & (controls.std(axis=0) > 1e-6)
    assert np.isfinite(found.z_score[varied]).all()


TAILS = {
    "counted": lambda controls, observed: controls <= observed + 1e-9,
    "strict": lambda controls, observed: controls < observed - 1e-9,
}


def in_another_form(params, labels, x, y, form, power):
    """The same network: samples and biases in another unit, and so all activations, or all arrays of another kind."""
    if power:
        unit = np.float32(2.0**power)
        return {name: layer | {"bias": layer["bias"] * unit} for name, layer in params.items()}, labels, x * unit, y
    if form == "jax":
        return jax.tree.map(jnp.asarray, (params, labels, x, y))
    if form == "list":
        return params, labels.tolist(), x.tolist(), y.tolist()
    return jax.tree.map(FORMS[form], params), labels.astype(np.int8), FORMS[form](x), y.astype(np.int16)


@examples(120)
@hypothesis.given(
    st.sampled_from([WIDTHS, BOTTLENECK]).flatmap(lambda widths: st.tuples(st.just(widths), networks(widths))),
    st.sampled_from([*FORMS, "list", "jax"]),
    st.sampled_from([0, 0, 100, -100]),
    st.sampled_from(list(TAILS)),
    st.sampled_from(["max_t", "holm"]),
)
def test_single_lesions(case, form, power, ties, correction):
    widths, (params, labels, x, y) = case
    network = in_another_form(params, labels, x, y, form, power)
    if not can_test(labels, widths):
        refused(lambda: single(*network), "labels must")
        return
    found = single(*network, ties=ties, correction=correction)
    sizes = np.bincount(y, minlength=widths[-1])
    whole = slow.class_sums(params, x, y)
    assert found.undamaged == pytest.approx(whole.sum() / NUM_SAMPLES)
    np.testing.assert_allclose(found.undamaged_by_class, whole / np.maximum(sizes, 1))
    own = slow.hidden(labels, widths)
    modules = slow.modules(own)
    assert list(zip(found.submodules.layer - 1, found.submodules.cluster, strict=True)) == modules
    for index, (layer, cluster) in enumerate(modules):
        damaged = slow.class_sums(slow.damage(params, slow.masks_of(own, (layer, cluster))), x, y)
        assert found.accuracy[index] == pytest.approx(damaged.sum() / NUM_SAMPLES)
        np.testing.assert_allclose(found.accuracy_by_class[index], damaged / np.maximum(sizes, 1))
        assert found.submodules.num_units[index] == (own[layer] == cluster).sum()
    assert_tests(found, found.submodules.share < 1, TAILS[ties])
    assert set(found.taxonomy) | set(found.taxonomy_adjusted) <= set(TAXONOMY)


@examples(80)
@hypothesis.given(networks(), st.sampled_from(["joint", "conditional"]))
def test_double_lesions(network, kind):
    params, labels, x, y = network
    if not can_test(labels, WIDTHS):
        refused(lambda: double(*network, kind=kind), "labels must")
        return
    found = double(*network, kind=kind)
    own = slow.hidden(labels, WIDTHS)
    modules = slow.modules(own)

    def accuracy(*chosen):
        return slow.class_sums(slow.damage(params, slow.masks_of(own, *chosen)), x, y).sum() / NUM_SAMPLES

    count = len(modules)
    assert len(found.first) == (count * (count + 1) // 2 if kind == "joint" else count * (count - 1))
    both = [accuracy(modules[a], modules[b]) for a, b in zip(found.first, found.second, strict=True)]
    np.testing.assert_allclose(found.accuracy, both)
    np.testing.assert_allclose(found.diff, np.array(both) - accuracy(), atol=1e-12)
    alone = np.array([accuracy() if kind == "joint" else accuracy(modules[b]) for b in found.second])
    np.testing.assert_allclose(found.score, both - alone, atol=1e-12)
    assert_tests(found, ~np.isnan(found.p_value), TAILS["counted"])


BAD_NETWORKS = {
    "x": {
        "one column too few": lambda x: x[:, 1:],
        "flat": np.ravel,
        "none": lambda x: None,
        "words": lambda x: x.astype(str),
        "complex": lambda x: x * 1j,
        "nan": lambda x: np.where(x == x[0, 0], np.nan, x),
        "inf": lambda x: np.where(x == x[0, 0], np.inf, x),
        "ragged": lambda x: [[1.0], [1.0, 2.0]],
    },
    "y": {
        "too few": lambda y: y[1:],
        "none": lambda y: None,
        "floats": lambda y: y.astype(float),
        "booleans": lambda y: y > 0,
        "words": lambda y: y.astype(str),
        "no such class": lambda y: y + 3,
        "negative": lambda y: y - 3,
        "wrapped around": lambda y: y + 2**32,
    },
    "labels": {
        "too few": lambda x: x[1:],
        "a matrix": lambda x: x[None],
        "none": lambda x: None,
        "floats": lambda x: x.astype(float),
        "booleans": lambda x: x > 0,
        "words": lambda x: x.astype(str),
        "too large": lambda x: x + 3,
        "too small": lambda x: x - 4,
        "wrapped around": lambda x: x + 2**32,
        "isolated": lambda x: np.full_like(x, -1),
        "one cluster": np.zeros_like,
    },
    "params": {
        "none": lambda p: None,
        "a list": lambda p: list(p.values()),
        "one layer": lambda p: {"layer_00": {"kernel": np.ones((4, 3))}},
        "nan": lambda p: p | {"layer_01": {"kernel": np.full((5, 5), np.nan)}},
        "inf bias": lambda p: p | {"layer_01": p["layer_01"] | {"bias": np.full(5, np.inf)}},
        "complex": lambda p: p | {"layer_01": {"kernel": np.ones((5, 5), complex)}},
        "flat": lambda p: p | {"layer_01": {"kernel": np.ones(25)}},
        "long bias": lambda p: p | {"layer_01": p["layer_01"] | {"bias": np.ones(6)}},
        "logits that overflow": lambda p: jax.tree.map(lambda a: 1e20 * np.ones_like(a), p),
    },
}
NAMES = {"params": ("params", "weights")}


@examples(100)
@hypothesis.given(
    st.data(), networks(), st.sampled_from([(name, how) for name, hows in BAD_NETWORKS.items() for how in hows])
)
def test_bad_networks_are_refused(data, network, case):
    name, how = case
    given = dict(zip(("params", "labels", "x", "y"), network, strict=True))
    hypothesis.assume(name == "labels" or can_test(given["labels"], WIDTHS))
    given[name] = BAD_NETWORKS[name][how](given[name])
    refused(lambda: single(*given.values()), *NAMES.get(name, (name,)))


BAD_SETTINGS = {
    "num_clusters": generated.counts(2),
    "num_shuffles": generated.counts(1),
    "samples_per_batch": generated.counts(1),
    "ties": st.sampled_from(["", "some", None, 0]),
    "correction": st.sampled_from(["", "none", None, 0]),
    "kind": st.sampled_from(["", "single", None, 0]),
    "key": st.sampled_from([None, 0, "key", np.zeros(2), jax.random.split(KEY, 2)]),
}


@examples(60)
@hypothesis.given(st.data(), networks(), st.sampled_from(list(BAD_SETTINGS)))
def test_bad_settings_are_refused(data, network, name):
    bad = {name: data.draw(BAD_SETTINGS[name])}
    refused(lambda: double(*network, **({"kind": "joint"} | bad)), name)
    if name != "kind":
        refused(lambda: single(*network, **bad), name)


@pytest.mark.parametrize(
    "metric",
    [lambda logits, labels: logits, lambda logits, labels: jnp.full(labels.shape, jnp.nan)],
    ids=["shape", "nan"],
)
def test_bad_metrics_are_refused(metric):
    params, x = slow.random_params(0, WIDTHS), np.ones((NUM_SAMPLES, 4))
    labels, y = np.arange(sum(WIDTHS)) % NUM_CLUSTERS, np.zeros(NUM_SAMPLES, int)
    refused(lambda: single(params, labels, x, y, metric=metric), "metric")


def test_docstring_tells_the_number_of_inputs():
    assert f"{generated.COUNTS[__name__]:,} inputs" in __doc__
