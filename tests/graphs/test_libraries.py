"""Networks of other libraries, and of Flax that are no chain of Dense layers: never a graph of something else."""

import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from sklearn.neural_network import MLPClassifier

import modularity_jax as mj

KEY = jax.random.key(0)


class Residual(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x + nn.Dense(16)(nn.relu(nn.Dense(16)(x)))


class Nested(nn.Module):
    """10-16-16-16-4, whose outer layers chain alone to 10-16-4."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(Residual(name="Block_0")(nn.Dense(16)(x)))


class Around(nn.Module):
    """A layer between two Dense layers of fitting widths."""

    middle: nn.Module

    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(self.middle(nn.Dense(16)(x)))


class Embedded(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4)(nn.Dense(16)(nn.Embed(10, 16)(x.astype(int)[..., 0])))


def variables_of(module):
    return jax.eval_shape(module.init, KEY, jnp.ones((2, 10)))


@pytest.mark.parametrize(
    ("module", "named"),
    [
        (Nested(), r"got 'Block_0' with Dense_0, Dense_1"),
        (Around(nn.LayerNorm()), r"got 'middle' with bias, scale"),
        (Around(nn.BatchNorm(use_running_average=True)), r"got the collection 'batch_stats' beside 'params'"),
        (
            Around(nn.BatchNorm(use_running_average=True, use_bias=False, use_scale=False)),
            r"got the collection 'batch_stats' beside 'params'",
        ),
        (Around(nn.RMSNorm()), r"got 'middle' with scale"),
        (Around(nn.GroupNorm(4)), r"got 'middle' with bias, scale"),
        (Around(nn.MultiHeadDotProductAttention(2)), r"got 'middle' with key, out, query, value"),
        (Around(nn.PReLU()), r"got 'middle' with negative_slope"),
        (Around(nn.WeightNorm(nn.Dense(16))), r"got 'middle'"),
        (
            Around(nn.Conv(16, (3,))),
            r"params\['middle'\]\['kernel'\] must have shape \[d_in, d_out\], got \(3, 16, 16\)",
        ),
        (Around(nn.DenseGeneral((4, 4))), r"params\['middle'\]\['kernel'\] must have shape"),
        (
            Around(nn.Dense(16)),
            r"must name all layers with one word and a number .* \['Dense_0', 'Dense_1', 'middle'\]",
        ),
        (Embedded(), r"got 'Embed_0' with embedding"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_what_would_be_passed_over_is_named(module, named):
    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), variables_of(module))
    with pytest.raises(ValueError, match=named):
        mj.LayeredGraph.from_params(variables)
    labels, x, y = np.zeros(30, int), np.ones((3, 10)), np.zeros(3, int)
    with pytest.raises(ValueError, match=named):
        mj.lesion_test(variables, labels, x, y, KEY, num_clusters=2)


def test_arrays_beside_a_kernel_are_named():
    layer = {"kernel": np.ones((3, 4)), "bias": np.ones(4), "lora_a": np.ones((3, 1))}
    with pytest.raises(ValueError, match=r"got 'Dense_0' with bias, kernel, lora_a"):
        mj.LayeredGraph.from_params({"Dense_0": layer})


def test_the_same_network_without_what_was_in_between():
    class Chain(nn.Module):
        @nn.compact
        def __call__(self, x):
            for width in (16, 16, 16):
                x = nn.relu(nn.Dense(width)(x))
            return nn.Dense(4)(x)

    variables = jax.tree.map(lambda leaf: np.ones(leaf.shape, np.float32), variables_of(Chain()))
    assert mj.LayeredGraph.from_params(variables).widths == (10, 16, 16, 16, 4)


class Stub:
    """What an object of another library looks like from outside."""

    def __init__(self, *names):
        for name in names:
            setattr(self, name, None)


STATE_DICT = {"0.weight": np.ones((16, 10)), "0.bias": np.ones(16), "2.weight": np.ones((4, 16)), "2.bias": np.ones(4)}
HAIKU = {"mlp/~/linear_0": {"w": np.ones((10, 16)), "b": np.ones(16)}}


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (STATE_DICT, "a PyTorch state dict"),
        (HAIKU, "Haiku's params"),
        (Stub("layers"), "an Equinox module"),
        (Stub("state_dict", "layers"), "a PyTorch module"),
        (Stub("get_weights", "layers"), "a Keras model"),
        (nnx.Linear(3, 4, rngs=nnx.Rngs(0)), "an NNX module"),
        (Stub("coefs_"), "a scikit-learn MLP"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_containers_of_other_libraries_are_told_what_reads_them(given, what):
    for make in (mj.LayeredGraph.from_params, mj.LayeredGraph.from_weights):
        with pytest.raises(ValueError, match=f"; this looks like {what}, which mj.graph_of reads$"):
            make(given)


def test_params_and_what_is_unknown():
    with pytest.raises(ValueError, match=r"got dict; this looks like Flax's params, which mj.graph_of reads$"):
        mj.LayeredGraph.from_weights({"Dense_0": {"kernel": np.ones((3, 4))}})
    with pytest.raises(ValueError, match=r"got MLPClassifier$"):  # which is not fitted
        mj.LayeredGraph.from_params(MLPClassifier())


def test_transposed_square_kernels_are_another_graph():
    """What the docstring of `from_weights` warns of: [out, in] chains as well, and its n-cut is that of no module."""
    rng = np.random.default_rng(0)
    module = [rng.permutation(32) % 4 for _ in range(4)]  # each layer's units in an order of their own
    kernels = [
        rng.normal(size=(32, 32)) * np.where(rows[:, None] == columns[None], 1, 0.01)
        for rows, columns in itertools.pairwise(module)
    ]
    right, wrong = mj.LayeredGraph.from_weights(kernels), mj.LayeredGraph.from_weights([k.T for k in kernels])
    found = [mj.cluster(g, KEY, num_clusters=4).ncut for g in (right, wrong)]
    assert found[0] < 0.2
    assert found[1] > 0.8
    assert "[out, in]" in mj.LayeredGraph.from_weights.__doc__


class Stubborn:
    """An array that cannot be had: as tensors that require gradients or lie on another device."""

    def __array__(self, *args, **kwargs):
        raise RuntimeError("call detach() first")


def test_whatever_an_array_raises_names_the_argument():
    with pytest.raises(ValueError, match=r"weights\[0\] must be an array, got what NumPy .*: call detach\(\) first"):
        mj.LayeredGraph.from_weights([Stubborn()])
