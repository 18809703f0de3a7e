"""scikit-learn's handwritten digits, the set that needs no download."""

import numpy as np

from modularity_jax.data.dataset import Dataset, random_stream


def load() -> Dataset:
    """Loads 1,797 real 8 x 8 images of ten handwritten digits, values 0 to 16 scaled to [0, 1].

    The split is fixed and stratified: the images are shuffled and sorted by class, and every fifth one is a test
    image (360 of them, 1,437 remain), so that each class has its share in both halves to within one image. d = 64.

    Raises:
      ImportError: if scikit-learn is missing.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        raise ImportError('digits come with scikit-learn: pip install "modularity_jax[experiments]"') from error
    x, y = datasets.load_digits(return_X_y=True)
    x, y = np.asarray(x / 16, np.float32), np.asarray(y, np.int32)
    order = random_stream("digits").permutation(len(y))
    by_class = order[np.argsort(y[order], kind="stable")]
    is_test = np.zeros(len(y), bool)
    is_test[by_class[::5]] = True
    train, test = order[~is_test[order]], order[is_test[order]]
    return Dataset(x[train], y[train], x[test], y[test], num_classes=10)
