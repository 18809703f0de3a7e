"""Which data sets there are, and where each comes from."""

import functools
import pathlib
from collections.abc import Callable

from modularity_jax.data import cifar, digits, halves, idx, mixtures, polynomials, resized, synthetic, tfds
from modularity_jax.data.dataset import Dataset
from modularity_jax.data.paths import local_path

_MADE_HERE = {
    "digits": digits.load,
    "lines": synthetic.load_lines,
    "random": synthetic.load_random,
    "polynomials": polynomials.load,
}
_MADE_OF_MNIST: dict[str, Callable[[Dataset], Dataset]] = {
    "halves": halves.sums,
    "halves_same": halves.same,
    "stacked": functools.partial(halves.sums, join=halves.stacked),
    "stacked_same": functools.partial(halves.same, join=halves.stacked),
    "mnist_7x7": resized.sevenths,
}
# name -> how its files are read, and how its publishers, torchvision and Keras spell it in folders' names. TensorFlow
# Datasets knows all of these by the same names.
_PUBLISHED = {
    "mnist": (idx, ("mnist", "MNIST")),
    "fashion_mnist": (idx, ("fashion_mnist", "FashionMNIST", "fashion-mnist")),
    "kmnist": (idx, ("kmnist", "KMNIST")),
    "cifar10": (cifar, ("cifar10", "CIFAR10", "cifar-10")),
}
# As it was published, rather than as MNIST's networks take it.
_IN_COLOUR = {"cifar10_colour": "cifar10"}
_NAMES = ("digits", *_PUBLISHED, *_IN_COLOUR, "lines", "random", "polynomials", *_MADE_OF_MNIST)
# The others have ten classes and 784 values.
_OTHER_SIZES = ("digits", "polynomials", *_IN_COLOUR, "stacked", "stacked_same", "mnist_7x7")
_MIXABLE = tuple(name for name in _NAMES if name not in _OTHER_SIZES)


def known_names() -> tuple[str, ...]:
    """The names of the single sets that `load` takes."""
    return _NAMES


def load(name: str, dir: str | pathlib.Path | None = None, *, num_train: int | None = None) -> Dataset:
    """Loads a data set by its name.

    `digits`, `lines`, `random` and `polynomials` (a regression, see `polynomials.load`) need nothing but this package
    (digits: and scikit-learn). `mnist`, `fashion_mnist`,
    `kmnist` and `cifar10` are read from files below `dir` where they are (see `places` for the folders, `idx.load` and
    `cifar.load` for the files), else through TensorFlow Datasets, which downloads a set once and keeps it in a folder
    of its own: `TFDS_DATA_DIR`, or `~/tensorflow_datasets`. The arrays and their order are the same from either source.
    `cifar10` is grey and 28 x 28, for the networks that take MNIST; `cifar10_colour` is as published, d = 3072.
    `halves`, `halves_same`, `stacked` and `stacked_same` (two channels, d = 1568) are made of `mnist`, wherever that
    comes from, see `halves.sums` and `halves.same`, and so is `mnist_7x7` (d = 49), see `resized.sevenths`.
    `a+b` and `a|b` mix any two of the sets with d = 784, see `mixtures.mix`. In a shell such a name wants quotes.

    Args:
      name: of a set or mixture.
      dir: a folder with one folder of files per set, or the one with the set's files; None or "" if there is none.
      num_train: keeps only the first so many training samples; None keeps all.

    Raises:
      ValueError: for an unknown name, a wrong `num_train`, a folder elsewhere (`gs://`), or a file with wrong content.
      OSError: if a set cannot be had: FileNotFoundError for a missing file or package, ConnectionError without a
        network. The text is one line and says what to do.
      ImportError: if digits are wanted and scikit-learn is missing.
    """
    if num_train is not None and num_train < 1:
        raise ValueError(f"num_train must be at least 1, got {num_train}")
    folder = local_path("dir", dir) if dir else None
    mixture = mixtures.parse(name)
    names = mixture.parts if mixture else (name,)
    for part in names:
        if part not in _NAMES:
            known = ", ".join(_NAMES)
            raise ValueError(f"unknown data set {part!r}; known are {known}, and mixtures a+b and a|b of two")
        if mixture and part not in _MIXABLE:
            takes = ", ".join(_MIXABLE)
            raise ValueError(f"{name!r}: {part} cannot be mixed (not of 784 values); take two of {takes}")
    sets = [_load_single(part, folder) for part in names]
    dataset = mixtures.mix(mixture, *sets) if mixture else sets[0]
    available = len(dataset.y_train)
    if num_train is not None and num_train > available:
        raise ValueError(f"num_train must be at most {available}, the training samples there are, got {num_train}")
    return dataset._replace(x_train=dataset.x_train[:num_train], y_train=dataset.y_train[:num_train])


def places(folder: pathlib.Path, name: str) -> list[pathlib.Path]:
    """The folders where a published set's files are looked for, in this order.

    `folder/name` as its publishers, torchvision and Keras spell the name, then `raw` in it, then the folder itself and
    `raw` in it. MNIST and its kin have files of the same names, so the folder itself must not be named after another
    set, and for Fashion-MNIST and KMNIST must be named after it.
    """
    below = [folder / spelling / raw for spelling in _PUBLISHED[name][1] for raw in ("", "raw")]
    own = _set_named(folder.parent.name if folder.name == "raw" else folder.name)
    trusted = own == name or (own is None and name in ("mnist", "cifar10"))
    return below + [folder / raw for raw in ("", "raw") if trusted]


def _set_named(text: str) -> str | None:
    """The set that a folder is named after, in any spelling."""
    found = (name for name, (_, spellings) in _PUBLISHED.items() if text.lower() in map(str.lower, spellings))
    return next(found, None)


def _load_single(name: str, folder: pathlib.Path | None) -> Dataset:
    if name in _MADE_HERE:
        return _MADE_HERE[name]()
    if name in _MADE_OF_MNIST:
        return _MADE_OF_MNIST[name](_load_single("mnist", folder))
    how = {"colour": True} if name in _IN_COLOUR else {}
    name = _IN_COLOUR.get(name, name)
    source, _ = _PUBLISHED[name]
    below = places(folder.absolute(), name) if folder else []
    for place in below:
        if any((place / file).is_file() for file in source.NAMES):
            return source.load(place, **how)
    looked = ", ".join(map(str, below))
    if found := [place for place in below if _set_named(place.name) == name and place.is_dir()]:
        raise FileNotFoundError(
            f"cannot load {name}: there is none of its files in {looked}; put {source.FILES} into {found[0]}"
        )
    return tfds.load(name, folder, files=source.FILES, looked=looked, **how)
