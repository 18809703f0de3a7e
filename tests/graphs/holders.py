"""One network as each library holds it, and what it computes there.

Layers are (kernel [..., in, out], bias [out]); dense rows behind a map run position after position.
"""

import types

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from sklearn.neural_network import MLPClassifier

KEY = jax.random.key(0)
SIDE = 6  # pixels of an image's edge, before and after each convolution
MLP = ((12, 10), (10, 10), (10, 4))
CNN = ((3, 3, 1, 3), (3, 3, 3, 5), (SIDE * SIDE * 5, 8), (8, 4))


def random_layers(shapes):
    rng = np.random.default_rng(3)
    return [(rng.normal(size=s).astype(np.float32), rng.normal(size=s[-1]).astype(np.float32)) for s in shapes]


def random_inputs(layers):
    """Images [B, h, w, c], or rows [B, d]."""
    first = layers[0][0]
    shape = (SIDE, SIDE, first.shape[-2]) if first.ndim > 2 else first.shape[:1]
    return np.random.default_rng(5).normal(size=(7, *shape)).astype(np.float32)


def forward(modules, x, flatten=lambda x: x.reshape(len(x), -1)):
    """ReLU between any library's layers, of which some are (module, True) for a convolution."""
    for index, (module, is_conv) in enumerate(modules):
        x = jax.nn.relu(x) if index else x
        x = module(x if is_conv else flatten(x))
    return x


def is_conv(layers):
    return [kernel.ndim > 2 for kernel, _ in layers]


def linen(layers):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            made = [
                (nn.Conv(len(bias), (3, 3)), True) if kernel.ndim > 2 else (nn.Dense(len(bias)), False)
                for kernel, bias in layers
            ]
            return forward(made, x)

    x = random_inputs(layers)
    params = Net().init(KEY, x)["params"]
    num_convs = sum(is_conv(layers))
    names = [f"Conv_{index}" for index in range(num_convs)]
    names += [f"Dense_{index}" for index in range(len(layers) - num_convs)]
    own = {name: dict(zip(("kernel", "bias"), layer, strict=True)) for name, layer in zip(names, layers, strict=True)}
    own = jax.tree.map(jnp.asarray, own)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, params)
    return own, Net().apply({"params": own}, x)


class NnxNet(nnx.Module):
    """Its names do not tell the order; their definition does."""

    def __init__(self, layers):
        self.names = ("stem", "middle", "head", "exit")[: len(layers)]
        for name, (kernel, bias) in zip(self.names, layers, strict=True):
            *_, d_in, d_out = kernel.shape
            rngs = nnx.Rngs(0)
            conv = kernel.ndim > 2
            module = nnx.Conv(d_in, d_out, (3, 3), rngs=rngs) if conv else nnx.Linear(d_in, d_out, rngs=rngs)
            module.kernel[...], module.bias[...] = jnp.asarray(kernel), jnp.asarray(bias)
            setattr(self, name, module)
        self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))


def nnx_module(layers):
    net = NnxNet(layers)
    modules = zip([getattr(net, name) for name in net.names], is_conv(layers), strict=True)
    return net, forward(modules, random_inputs(layers))


def haiku(layers):
    def net(x):
        made = [
            (hk.Conv2D(len(bias), 3), True) if kernel.ndim > 2 else (hk.Linear(len(bias)), False)
            for kernel, bias in layers
        ]
        return forward(made, x)

    x = random_inputs(layers)
    transformed = hk.without_apply_rng(hk.transform(net))
    params = transformed.init(KEY, x)
    by_shape = {kernel.shape: {"w": jnp.asarray(kernel), "b": jnp.asarray(bias)} for kernel, bias in layers}
    own = {name: by_shape[module["w"].shape] for name, module in params.items()}
    return own, transformed.apply(own, x)


def turned(layers):
    """Weights [out, in, ...] and biases, rows behind a map channel after channel."""
    made, channels = [], None
    for kernel, bias in layers:
        if channels and kernel.ndim == 2:
            kernel = kernel.reshape(-1, channels, kernel.shape[1]).swapaxes(0, 1).reshape(kernel.shape)
        channels = kernel.shape[-1] if kernel.ndim > 2 else None
        made.append((np.moveaxis(kernel, (-1, -2), (0, 1)), bias))
    return made


def equinox(layers):
    made = []
    for weight, bias in turned(layers):
        d_out, d_in, *_ = weight.shape
        conv = weight.ndim > 2
        module = eqx.nn.Conv2d(d_in, d_out, 3, padding=1, key=KEY) if conv else eqx.nn.Linear(d_in, d_out, key=KEY)
        own = jnp.asarray(weight), jnp.asarray(bias).reshape(module.bias.shape)
        made += [eqx.tree_at(lambda m: (m.weight, m.bias), module, own), eqx.nn.Lambda(jax.nn.relu)]
    net = eqx.nn.Sequential(made[:-1])
    modules = zip([jax.vmap(module) for module in made[::2]], is_conv(layers), strict=True)
    x = random_inputs(layers)
    return net, forward(modules, np.moveaxis(x, -1, 1) if x.ndim > 2 else x)


def state_dict(layers):
    """As `torch.nn.Sequential` names them, with a ReLU between; what it computes nobody here can say."""
    return {
        f"{2 * index}.{name}": array
        for index, layer in enumerate(turned(layers))
        for name, array in zip(("weight", "bias"), layer, strict=True)
    }, None


def keras_arrays(layers):
    return [array for layer in layers for array in layer], None


def scikit_learn(layers):
    x = random_inputs(layers)
    hidden = [len(bias) for _, bias in layers[:-1]]
    mlp = MLPClassifier(hidden, max_iter=1, tol=1e9, n_iter_no_change=1).fit(x, [0, 1, 2, 3, 0, 1, 2])
    mlp.coefs_, mlp.intercepts_ = map(list, zip(*layers, strict=True))
    return mlp, np.log(mlp.predict_proba(x))


class Tensor:
    """What NumPy needs of a PyTorch tensor that has a gradient."""

    dtype = None

    def __init__(self, array, is_free=False):
        self.array, self.is_free, self.shape = array, is_free, array.shape

    def detach(self):
        return Tensor(self.array, is_free=True)

    def cpu(self):
        return self

    def __array__(self, *args, **kwargs):
        assert self.is_free
        return self.array


def torch_module(classes, state):
    """A module of these classes by their names, with this state dict."""
    modules = [(name, type(of, (), {"groups": 1})()) for name, of in classes.items()]
    tensors = {name: Tensor(array) for name, array in state.items()}
    return types.SimpleNamespace(state_dict=lambda: tensors, named_modules=lambda: modules)


def keras_layer(name, **arrays):
    """A layer of that class, as Keras names its variables."""
    variables = [types.SimpleNamespace(name=f"model/{name}_1/{key}:0") for key in arrays]
    return type(name, (), {"name": f"{name}_1", "weights": variables, "get_weights": lambda _: [*arrays.values()]})()


def keras_model(*layers):
    weights = [weight for layer in layers for weight in layer.weights]
    return types.SimpleNamespace(layers=layers, weights=weights, get_weights=lambda: [])


HOLDERS = {
    "linen": linen,
    "nnx": nnx_module,
    "haiku": haiku,
    "equinox": equinox,
    "state dict": state_dict,
    "keras arrays": keras_arrays,
    "scikit-learn": scikit_learn,
}
