"""A pickle that asks for more than arrays is refused, and nothing of it is run."""

import os
import pickle

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from modularity_jax.runs.network_files import read_networks


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("inside", [False, True])
def test_a_pickle_is_not_run(inside, tmp_path):
    held = Evil(tmp_path / "made")
    if inside:
        model = MLPClassifier()
        model.coefs_ = np.array([held, np.eye(2)], dtype=object)
        held = model
    (tmp_path / "net.pkl").write_bytes(pickle.dumps(held))
    with pytest.raises(ValueError, match=r"net\.pkl cannot be read: it asks for posix\.mkdir, which is not called"):
        read_networks(tmp_path / "net.pkl")
    assert not (tmp_path / "made").exists()
