"""Images turned, shifted and mirrored at random, as 2103.03386 augments CIFAR-10."""

import jax
import jax.numpy as jnp

Array = jax.Array

DEGREES = 15.0
SHIFT = 0.1  # of the image's side


def augmented(images: Array, key: Array) -> Array:
    """Each of images [B, h, w, c] turned by up to 15 degrees, shifted by up to a tenth, and mirrored or not.

    What comes in from outside repeats the border. Bilinear.
    """
    return jax.vmap(_augmented)(images, jax.random.split(key, images.shape[0]))


def _augmented(image: Array, key: Array) -> Array:
    height, width, _ = image.shape
    angle, down, right, mirror = jax.random.uniform(key, (4,), minval=-1)
    angle = jnp.deg2rad(DEGREES) * angle
    rows, columns = jnp.meshgrid(
        jnp.arange(height) - (height - 1) / 2, jnp.arange(width) - (width - 1) / 2, indexing="ij"
    )
    columns = jnp.where(mirror > 0, -columns, columns)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    from_rows = cosine * rows - sine * columns + (height - 1) / 2 + SHIFT * height * down
    from_columns = sine * rows + cosine * columns + (width - 1) / 2 + SHIFT * width * right
    channels = jnp.moveaxis(image, -1, 0)
    made = [
        jax.scipy.ndimage.map_coordinates(own, [from_rows, from_columns], order=1, mode="nearest") for own in channels
    ]
    return jnp.stack(made, axis=-1)
