"""The graph of a network whatever library holds it, and refusals by name."""

import functools
import re
from collections.abc import Callable

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import modularity_jax as mj
from tests.graphs import holders
from tests.graphs.holders import CNN, HOLDERS, KEY, MLP, keras_layer, keras_model, torch_module


def assert_same_graph(found, want):
    assert isinstance(found, mj.LayeredGraph)
    for ours, theirs in zip(found.affinities, want.affinities, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def wired(layers):
    """The graph by `wire`, from kernels [..., in, out]."""
    kernels = [kernel for kernel, _ in layers]
    if len(layers) == len(CNN):
        kernels[2] = mj.conv.flattened(kernels[2], CNN[1][-1])
    return mj.wire([(str(index), str(index + 1), kernel) for index, kernel in enumerate(kernels)])


CASES = [
    (library, shapes) for library in HOLDERS for shapes in (MLP, CNN) if (library, shapes) != ("scikit-learn", CNN)
]


@pytest.mark.parametrize(("library", "shapes"), CASES, ids=[f"{name}-{len(shapes)}" for name, shapes in CASES])
def test_the_same_weights_are_the_same_graph_in_every_library(library, shapes):
    """That it is the same network, too, is told by what it computes."""
    layers = holders.random_layers(shapes)
    network, logits = HOLDERS[library](layers)
    assert_same_graph(mj.graph_of(network), wired(layers))
    if logits is not None:
        want = jax.nn.log_softmax(holders.linen(layers)[1])
        np.testing.assert_allclose(jax.nn.log_softmax(logits), want, rtol=1e-3, atol=1e-3)


def test_reading_compiles_nothing(caplog):
    network, _ = holders.equinox(holders.random_layers(CNN))
    with jax.log_compiles():
        mj.graph_of(network)
        compiled = [record for record in caplog.records if "Finished XLA compilation" in record.getMessage()]
    assert not compiled


@pytest.mark.parametrize("norm", mj.conv.NORMS)
def test_norms_and_jit(norm):
    params, _ = holders.linen(holders.random_layers(CNN))
    found = jax.jit(lambda params: mj.graph_of(params, norm=norm))({"params": params})
    want = mj.graph_of(params, norm=norm)
    for ours, theirs in zip(
        found.affinities, want.affinities, strict=True
    ):  # compiled sums are rounded in their own way
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_sorted_names_are_ordered_by_their_numbers():
    """As files and JAX's tree functions leave them; '10' comes before '2'."""
    layers = holders.random_layers([(4, 4)] * 12)
    for library in ("linen", "state dict"):
        network, _ = HOLDERS[library](layers)
        shuffled = {name: network[name] for name in sorted(network)}
        assert_same_graph(mj.graph_of(shuffled), wired(layers))
    net = nnx.Sequential(*(nnx.Linear(4, 4, rngs=nnx.Rngs(seed)) for seed in range(12)))
    assert_same_graph(mj.graph_of(nnx.merge(*nnx.split(net))), mj.graph_of(net))
    assert_same_graph(mj.graph_of(nnx.state(net, nnx.Param)), mj.graph_of(net))


def test_an_nnx_module_that_was_merged_has_lost_its_order():
    net, _ = holders.nnx_module(holders.random_layers([(4, 4)] * 3))
    with pytest.raises(ValueError, match="got 'head', 'middle', 'stem' side by side, whose names do not tell"):
        mj.graph_of(nnx.merge(*nnx.split(net)))


class ConvNet(eqx.Module):
    layer: eqx.Module


def test_three_axes_are_a_convolution_where_the_layer_says_so():
    assert mj.graph_of(ConvNet(eqx.nn.Conv1d(4, 5, 3, key=KEY))).widths == (4, 5)
    assert mj.graph_of({"conv.weight": np.ones((5, 4, 3))}).widths == (4, 5)
    experts = eqx.filter_vmap(lambda key: eqx.nn.Linear(4, 5, use_bias=False, key=key))(jax.random.split(KEY, 3))
    with pytest.raises(ValueError, match=r"'layer' with weight, a kernel of shape \(4, 5, 3\): experts, heads"):
        mj.graph_of(ConvNet(experts))


class Block(nn.Module):
    """Two layers, as many inputs as outputs where it is made of convolutions."""

    make: Callable
    width: int

    @nn.compact
    def __call__(self, x):
        x = nn.relu(self.make(self.width)(x))
        return self.make(self.width + 1)(x)


class Nested(nn.Module):
    last: str

    @nn.compact
    def __call__(self, x):
        conv = functools.partial(nn.Conv, kernel_size=(3, 3))
        x = Block(conv, 5, name="ConvBlock_1")(Block(conv, 4, name="ConvBlock_0")(x))
        x = Block(nn.Dense, 8, name="mlp_0")(x.reshape(len(x), -1))
        return nn.Dense(3, name=self.last)(x)


def test_nested_modules():
    x = jnp.ones((1, 4, 4, 2))
    assert mj.graph_of(Nested("mlp_1").init(KEY, x)).widths == (2, 4, 5, 5, 6, 8, 9, 3)
    with pytest.raises(ValueError, match="'ConvBlock_1', 'head', 'mlp_0' side by side, whose names do not tell"):
        mj.graph_of(Nested("head").init(KEY, x))


def test_an_embedding_before_a_flattened_sequence():
    table, dense = np.random.default_rng(0).normal(size=(7, 4)), np.random.default_rng(1).normal(size=(12, 5))
    want = mj.wire([("tokens", "table", table), ("table", "dense", mj.conv.flattened(dense, 4))])
    embed = eqx.nn.Embedding(weight=jnp.asarray(table))
    linear = eqx.tree_at(lambda m: m.weight, eqx.nn.Linear(12, 5, key=KEY), jnp.asarray(dense.T))
    for network in (
        {"Dense_0": {"kernel": dense}, "Embed_0": {"embedding": table}},
        {"linear": {"w": dense}, "embed": {"embeddings": table}},
        eqx.nn.Sequential([embed, linear]),
    ):
        for ours, theirs in zip(mj.graph_of(network).affinities, want.affinities, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_torch_module():
    layers = holders.random_layers(CNN)
    state, _ = HOLDERS["state dict"](layers)
    classes = {"": "Net", "0": "Conv2d", "2": "Conv2d", "4": "Linear", "6": "Linear"}
    assert_same_graph(mj.graph_of(torch_module(classes, state)), wired(layers))
    state |= {"1.weight": np.ones(3), "1.running_mean": np.ones(3), "1.num_batches_tracked": np.array(3)}
    with pytest.raises(ValueError, match="got '1' with running_mean, weight, which looks like a normalisation"):
        mj.graph_of(torch_module(classes, state))


def test_a_keras_model():
    layers = holders.random_layers(CNN)
    own = [keras_layer("Layer", kernel=kernel, bias=bias) for kernel, bias in layers]
    for index, layer in enumerate(own):
        layer.name = f"layer_{index}"
    assert_same_graph(mj.graph_of(keras_model(own[0], keras_layer("Flatten"), *own[1:])), wired(layers))


SQUARE = np.ones((4, 4))
DENSE = {"kernel": SQUARE, "bias": np.ones(4)}
LINEAR = {"0.weight": SQUARE, "0.bias": np.ones(4)}
TIED = eqx.nn.Linear(4, 4, key=KEY)


def haiku_params(module, shape=(1, 4, 4, 4)):
    return hk.transform_with_state(lambda x: module()(x)).init(KEY, jnp.ones(shape))[0]


def linen_params(module):
    return module.init(KEY, jnp.ones((2, 4, 4)))


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (linen_params(nn.BatchNorm(use_running_average=True)), "'scale' with bias, scale, .* normalisation"),
        (
            linen_params(nn.Sequential([nn.Dense(4), nn.BatchNorm(True, use_bias=False, use_scale=False)])),
            "the collection 'batch_stats' beside 'params', .*norm_folded",
        ),
        (linen_params(nn.Sequential([nn.Dense(4), nn.LayerNorm()])), "'layers_1' with bias, scale, .* normalisation"),
        (haiku_params(lambda: hk.LayerNorm(-1, True, True)), "'layer_norm' with offset, scale, .* normalisation"),
        ([SQUARE, np.ones(4), np.ones(4), SQUARE], "'0' with array 2, bias, kernel, .* normalisation"),
        ({**LINEAR, "1.weight": np.ones(4)}, "'1' with weight of one axis, .* normalisation"),
        (nnx.Sequential(nnx.Linear(4, 4, rngs=nnx.Rngs(0)), nnx.RMSNorm(4, rngs=nnx.Rngs(0))), "'layers/1' .* normal"),
        (eqx.nn.Sequential([TIED, eqx.nn.GroupNorm(2, 4)]), "'layers/1' with bias, weight, .* normalisation"),
        (linen_params(nn.MultiHeadDotProductAttention(2)), "'key' with bias, kernel, .* attention"),
        (eqx.nn.MultiheadAttention(2, 4, key=KEY), "'query_proj' with weight, .* attention"),
        ({"q_proj.weight": SQUARE, "k_proj.weight": SQUARE}, "'q_proj' with weight, .* attention"),
        ({"layer.in_proj_weight": np.ones((12, 4)), **LINEAR}, "'layer' with in_proj_weight, which would be passed"),
        (eqx.nn.GRUCell(4, 4, key=KEY), "with bias, bias_n, weight_hh, weight_ih, .* recurrent"),
        ({"0.weight_ih_l0": SQUARE, "0.weight_hh_l0": SQUARE}, "'0' with weight_hh_l0, weight_ih_l0, .* recurrent"),
        ({"LSTMCell_0": {"ii": DENSE, "hi": DENSE}}, "'LSTMCell_0/hi' with bias, kernel, .* recurrent"),
        (keras_model(keras_layer("SimpleRNN", kernel=SQUARE, recurrent_kernel=SQUARE)), "'SimpleRNN_1' .* recurrent"),
        ({"experts_0": DENSE, "experts_1": DENSE}, "'experts_0' .* mixture of experts"),
        ({"Dense_0": {"kernel": np.ones((3, 4, 4)), "bias": np.ones((3, 4))}}, r"shape \(3, 4, 4\): experts, heads"),
        ([np.ones((3, 4, 4)), SQUARE], r"'0' with kernel, a kernel of shape \(3, 4, 4\): experts, heads"),
        (
            haiku_params(lambda: hk.DepthwiseConv2D(1, 3)),
            "'depthwise_conv2_d' .* convolution in groups: mj.conv.grouped",
        ),
        (nnx.Conv(4, 4, (3, 3), feature_group_count=2, rngs=nnx.Rngs(0)), "'kernel' with bias, kernel, .* in groups"),
        ([np.ones((3, 3, 4, 4)), np.ones((3, 3, 1, 4))], "'1' with 1 inputs behind '0' with 4 units"),
        (haiku_params(lambda: hk.Conv2DTranspose(4, 3)), "'conv2_d_transpose' .* transposed convolution"),
        ({"shortcut.weight": SQUARE, **LINEAR}, "'shortcut' with weight, .* skip connection"),
        (keras_model(keras_layer("Dense", kernel=SQUARE), keras_layer("Add")), "'Dense_1' .* skip connection"),
        (eqx.nn.Sequential([TIED, TIED]), "'layers/1', whose kernel is that of 'layers/0'"),
        ({"a.weight": SQUARE, "b.weight": SQUARE[:]}, "'b', whose kernel is that of 'a'"),
        (eqx.nn.Shared((TIED, TIED), lambda m: m[1].weight, lambda m: m[0].weight), "weights shared between layers"),
        ({"emb.weight": np.ones((5, 4)), "emb.bias": np.ones(5)}, "'emb' .* whether it is an embedding"),
        ({"Dense_0": DENSE, "PReLU_0": {"negative_slope": np.ones(())}}, "'PReLU_0' with negative_slope, .* passed"),
        ({"Dense_0": {**DENSE, "lora_a": SQUARE}}, "'Dense_0' with bias, kernel, lora_a, which would be passed over"),
        ({"Dense_0": DENSE, "Dense_1": {"kernel": np.ones((4, 4)), "bias": np.ones(3)}}, "4 units out and a bias of"),
        ({"actor": DENSE, "critic": {"kernel": np.ones((4, 2))}}, "'actor', 'critic' side by side, .* their order"),
        (
            {"Dense_0": DENSE, "Block_0": {"Dense_0": {"kernel": SQUARE.copy()}}},
            "'Block_0', 'Dense_0' side by side, .* their order",
        ),
        ([SQUARE, np.ones((3, 3, 4, 4))], "'1', an embedding or a convolution, behind the dense layer '0'"),
        ([SQUARE, np.ones((8, 4))], "'1' with 8 inputs behind '0' with 4 units"),
        ({"params": {"Dense_0": DENSE}, "opt_state": {"mu": {"Dense_0": DENSE}}}, "collection 'opt_state'"),
        (SQUARE, "'array' with array, which would be passed over"),
        ({"Dense_0": {"bias": np.ones(4)}}, "'Dense_0' with bias, which would be passed over"),
        ([np.ones((8, 4)), np.ones((3, 8))], r"'1' with 3 inputs behind '0' with 4 units; .* pass weight\.T"),
        ([np.ones((8, 4)), np.ones(8)], r"4 units out and a bias of shape \(8,\); .* pass weight\.T"),
        (nnx.Optimizer(nnx.Linear(4, 4, rngs=nnx.Rngs(0)), optax.adam(1e-3), wrt=nnx.Param), "an optimiser's state"),
        (3, "at least one array, got int, which has none"),
    ],
)
def test_what_is_no_chain_is_refused_by_name(network, named):
    with pytest.raises(ValueError, match=named):
        mj.graph_of(network)


def test_a_refusal_shows_edges_that_wire_takes():
    layers = holders.random_layers(CNN)
    for library in ("linen", "nnx", "equinox", "state dict", "keras arrays"):
        network, _ = HOLDERS[library](layers[:2])
        extra = {"scale": np.ones(3)}
        whole = {**network, "norm": extra} if isinstance(network, dict) else [network, extra]
        with pytest.raises(ValueError, match="normalisation") as caught:
            mj.graph_of(whole)
        snippet = str(caught.value)[str(caught.value).index("mj.wire([") :]
        assert len(re.findall(r"# \(3, 3, [13], [35]\)$", snippet, flags=re.MULTILINE)) == 2
        found = eval(snippet, {"mj": mj, "network": whole})
        assert_same_graph(found, wired(layers[:2]))
