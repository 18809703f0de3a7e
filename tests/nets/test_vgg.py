"""The VGG at a toy width: shapes, running averages, folded norms, an overfit, pruning, a silent channel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from modularity_jax.nets.augmentation import augmented
from modularity_jax.nets.config import ModelConfig, PruneConfig, TrainConfig
from modularity_jax.nets.kernels import kernels_of
from modularity_jax.nets.models import MODELS, apply, apply_in_training, apply_silenced, init_params, kernel_shapes
from modularity_jax.nets.models.cnn import by_products
from modularity_jax.nets.models.vgg import norm_name
from modularity_jax.nets.sweep import train_seeds
from modularity_jax.nets.training import Samples

TOY = ModelConfig(widths=(3072, *(3,) * 4, *(4,) * 9, 8, 6, 10), name="vgg")
STUDY = ModelConfig(widths=(3072, 64, 64, 128, 128, *(256,) * 3, *(512,) * 6, 512, 512, 10), name="vgg")


@pytest.fixture(scope="module")
def images():
    """Six images, each of its own class."""
    x = np.random.default_rng(0).uniform(size=(6, 3072)).astype(np.float32)
    return Samples(*(jnp.asarray(v) for v in (x, np.arange(6, dtype=np.int32)) * 2))


@pytest.fixture(scope="module")
def overfitted(images):
    """Two networks trained on six images, then pruned; after 70 epochs their averages know them all."""
    train = TrainConfig(num_seeds=2, epochs=120, batch_size=6, learning_rate=0.02)
    return list(train_seeds(images, model=TOY, train=train, prune=PruneConfig(epochs=2)))


def test_the_studys_network():
    shapes = kernel_shapes(STUDY)
    assert [shape[-1] for shape in shapes] == [*STUDY.widths[1:]]
    assert shapes[0] == (3, 3, 3, 64)
    assert shapes[13] == (512, 512)  # behind five pools there is one position


def test_six_images_are_learnt_by_heart(overfitted):
    last = [epoch for epoch in overfitted if epoch.phase == "unpruned"][-1]
    np.testing.assert_array_equal(last.metrics.train_accuracy, [1, 1])


def test_pruning_leaves_norms_and_averages(overfitted):
    params = jax.tree.map(np.asarray, overfitted[-1].params)
    for kernel in kernels_of(params).values():
        zeros = (kernel == 0).reshape(2, -1).sum(axis=1)
        size = kernel[0].size
        assert (zeros == size - round(0.1 * size)).all()
    averages = params["batch_stats"][norm_name(0)]
    assert (averages["mean"] != 0).all()
    assert (averages["var"][0] != averages["var"][1]).all()


def test_running_averages_follow_the_batches(images):
    """One step of one batch: .99 times what was, .01 times the batch's."""
    model = MODELS["vgg"].module(TOY)
    params = init_params(model, 3072, jax.random.key(0))
    _, running = apply_in_training(model, params, images.x_train, None)
    kernel, bias = (np.asarray(params["layer_00"][name]) for name in ("kernel", "bias"))
    activations = np.maximum(np.asarray(by_products(images.x_train.reshape(-1, 32, 32, 3), kernel)) + bias, 0)
    own = running["batch_stats"][norm_name(0)]
    np.testing.assert_allclose(own["mean"], 0.01 * activations.mean(axis=(0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(own["var"], 0.99 + 0.01 * activations.var(axis=(0, 1, 2)), rtol=1e-4)


def test_graph_has_the_norms_before_each_kernel_folded_in():
    params = init_params(MODELS["vgg"].module(TOY), 3072, jax.random.key(1))
    plain = MODELS["vgg"].graph(params)
    assert plain.widths == (3, *TOY.widths[1:])
    params[norm_name(4)]["scale"] = 2 * params[norm_name(4)]["scale"]
    params["batch_stats"][norm_name(4)]["var"] = params["batch_stats"][norm_name(4)]["var"] / 4
    folded = MODELS["vgg"].graph(params)
    for layer, (before, after) in enumerate(zip(plain.affinities, folded.affinities, strict=True)):
        np.testing.assert_allclose(after, before * (4 if layer == 5 else 1), rtol=4e-3)  # Keras's epsilon is .001


def test_a_silent_channel_is_one_without_weights(images):
    params = init_params(MODELS["vgg"].module(TOY), 3072, jax.random.key(2))
    silence = [np.zeros(width, bool) for width in TOY.widths[1:-1]]
    silence[2][1] = True
    found = apply_silenced(TOY)(params, images.x_test, tuple(silence))
    for name in ("kernel", "bias"):
        params["layer_02"][name] = params["layer_02"][name].at[..., 1].set(0)
    np.testing.assert_allclose(found, apply(MODELS["vgg"].module(TOY), params, images.x_test), atol=1e-5)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        (
            (3072, 4, 4, 10),
            r"model.widths of a vgg must be values of an image, 13 channels, .*, got \(3072, 4, 4, 10\)",
        ),
        ((784, *TOY.widths[1:]), "model.widths of a vgg must begin with an image of 32 x 32 or more, got 28 x 28"),
    ],
)
def test_widths_that_are_no_vgg(widths, message):
    with pytest.raises(ValueError, match=message):
        MODELS["vgg"].module(ModelConfig(widths=widths, name="vgg"))


def test_augmented_images():
    """Ramps stay ramps: they turn by up to 15 degrees, move by up to a tenth of the image, and are mirrored or not."""
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32)[None, :, None], (32, 32, 2))
    made = np.asarray(augmented(jnp.asarray(np.repeat(ramp[None], 200, axis=0)), jax.random.key(0)))
    assert made.shape == (200, 32, 32, 2)
    np.testing.assert_array_equal(made[..., 0], made[..., 1])
    inner = made[:, 8:24, 8:24, 0]
    slopes = np.stack([np.diff(inner, axis=2).mean(axis=(1, 2)), np.diff(inner, axis=1).mean(axis=(1, 2))])
    np.testing.assert_allclose((slopes**2).sum(axis=0), 1, rtol=1e-3)
    angles = np.degrees(np.arcsin(slopes[1]))
    assert 13 < abs(angles).max() <= 15.001
    assert 0.3 < (slopes[0] < 0).mean() < 0.7
    centres = inner.mean(axis=(1, 2)) - 15.5
    assert 2.8 < abs(centres).max() <= 3.21
