"""Pieces are found by their keys alone."""

import json

import numpy as np
import pytest

from modularity_jax.runs.store import Store, digest

KEY = {"piece": "controls", "network": "ab", "num_clusters": 4, "stream": [0, 1], "x64": False}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "pieces")


def test_what_is_put_is_found_whatever_the_order_of_the_key(store):
    assert KEY not in store
    assert store.get(KEY) is None
    store.put(KEY, {"ncut": np.arange(3.0), "flag": np.asarray(True)})
    turned = dict(reversed(KEY.items()))
    assert turned in store
    found = store.get(turned)
    assert list(found) == ["ncut", "flag"]
    assert found["ncut"].tolist() == [0, 1, 2]
    assert found["flag"].shape == ()
    store.drop(KEY)
    assert store.get(KEY) is None


@pytest.mark.parametrize("field", KEY)
def test_another_key_is_another_piece(store, field):
    store.put(KEY, {"a": np.zeros(1)})
    assert KEY | {field: "else"} not in store


def test_a_file_says_what_it_is(store, tmp_path):
    store.put(KEY, {"a": np.zeros(1)})
    (file,) = (tmp_path / "pieces").iterdir()
    assert file.name.startswith("controls-")
    assert json.loads(np.load(file)["key"].tobytes()) == KEY


@pytest.mark.parametrize("damage", ["cut off", "another key"])
def test_a_damaged_piece_is_named_and_gone(store, tmp_path, caplog, damage):
    other = KEY | {"num_clusters": 5}
    store.put(other, {"a": np.zeros(1)})
    (theirs,) = (tmp_path / "pieces").iterdir()
    store.put(KEY, {"a": np.zeros(1)})
    (mine,) = set((tmp_path / "pieces").iterdir()) - {theirs}
    content = mine.read_bytes()
    mine.write_bytes(content[: len(content) // 2] if damage == "cut off" else theirs.read_bytes())
    assert store.get(KEY) is None
    assert f"{mine} is damaged" in caplog.text
    assert KEY not in store
    assert other in store


def test_what_a_lender_has_is_copied_when_it_is_asked_for(tmp_path):
    lender, other = Store(tmp_path / "lender"), KEY | {"num_clusters": 5}
    for key, value in ((KEY, 1), (other, 2)):
        lender.put(key, {"a": np.full(1, value)})
    mine = tmp_path / "mine"
    store = Store(mine, [tmp_path / "nothing", tmp_path / "lender"])
    store.put(KEY, {"a": np.full(1, 3)})
    assert other in store
    assert len(list(mine.iterdir())) == 1
    assert [store.get(key)["a"].tolist() for key in (KEY, other)] == [[3], [2]]
    assert len(list(mine.iterdir())) == 2
    store.drop(other)
    assert other in store  # with the lender still
    assert Store(mine).get(other) is None


def test_what_is_damaged_at_a_lender_is_not_taken(tmp_path, caplog):
    Store(tmp_path / "lender").put(KEY, {"a": np.zeros(1)})
    (file,) = (tmp_path / "lender").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    assert Store(tmp_path / "mine", [tmp_path / "lender"]).get(KEY) is None
    assert f"{file} is damaged" in caplog.text
    assert file.exists()


def test_a_digest_tells_values_shapes_and_types_apart():
    given = [np.arange(6), np.arange(6).reshape(2, 3), np.arange(6.0), np.arange(6, dtype=np.int32), np.arange(1, 7)]
    assert len({digest([array]) for array in given}) == len(given)
    assert digest([given[0], given[4]]) != digest([given[4], given[0]])
    turned = np.asfortranarray(given[1])
    assert digest([turned]) == digest([given[1]])
