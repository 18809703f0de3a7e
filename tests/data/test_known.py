"""Tasks whose modules are known have them."""

import numpy as np
import pytest

from modularity_jax.data import digits, functions, pairs, retina, rules
from modularity_jax.data.known import mixed


def answers(known):
    return np.stack(np.unravel_index(known.data.y_test, known.num_answers), axis=1)


def test_the_retina_shows_an_object_in_half_of_the_patterns_of_a_side():
    known = retina.load()
    x, seen = known.data.x_test, answers(known)
    assert len(np.unique(x, axis=0)) == 256
    for side in (0, 1):
        pixels = x[:, 4 * side : 4 * side + 4]
        shown = {tuple(row.astype(int)) for row in pixels[seen[:, side] == 1]}
        hidden = {tuple(row.astype(int)) for row in pixels[seen[:, side] == 0]}
        assert len(shown) == len(hidden) == 8
        assert not shown & hidden  # the other side does not matter
        assert {(1, 0, 0, 0), (1, 1, 0, 0), (1, 1, 1, 0), (1, 1, 1, 1)} <= shown
        assert {(0, 0, 0, 0), (0, 0, 1, 0), (1, 0, 1, 0), (0, 0, 1, 1)} <= hidden
    np.testing.assert_array_equal(np.bincount(known.data.y_test), [64] * 4)
    np.testing.assert_array_equal(known.inputs, [0] * 4 + [1] * 4)
    np.testing.assert_array_equal(known.outputs, [0, 1])


@pytest.mark.parametrize(("output", "combine"), [("and", np.minimum), ("or", np.maximum), ("xor", np.not_equal)])
def test_the_retinas_sides_combined(output, combine):
    known = retina.load(output)
    np.testing.assert_array_equal(answers(known)[:, 0], combine(*answers(retina.load()).T))
    np.testing.assert_array_equal(known.outputs, [-1])


def test_pairs_are_two_digits():
    images = {image.tobytes(): label for image, label in zip(*digits.load().test, strict=True)}
    known, summed = pairs.load(), pairs.load("sum")
    drawn = [[images[half.tobytes()] for half in np.split(row, 2)] for row in known.data.x_test]
    np.testing.assert_array_equal(answers(known), drawn)
    np.testing.assert_array_equal(summed.data.y_test, np.sum(drawn, axis=1) % 10)
    np.testing.assert_array_equal(known.inputs, [0] * 64 + [1] * 64)
    np.testing.assert_array_equal(known.outputs, [0] * 10 + [1] * 10)
    assert not {row[:64].tobytes() for row in known.data.x_train} & set(images)


def test_each_rule_is_a_line_through_the_origin():
    known = rules.load(3)
    x, said = known.data.x_test, answers(known)[:, 0]
    np.testing.assert_array_equal(known.groups, x[:, 2:].argmax(axis=1))
    np.testing.assert_array_equal(known.inputs, [-1, -1, 0, 1, 2])
    for rule in range(3):
        own = known.groups == rule
        direction = (x[own, :2] * (2 * said[own] - 1)[:, None]).mean(axis=0)
        assert np.mean((x[own, :2] @ direction > 0) == said[own]) > 0.9  # the direction is an estimate
    assert len(np.unique(said[known.groups == 0])) == 2


def test_each_function_has_inputs_of_its_own():
    known, summed = functions.load(), functions.load("sum")
    x = known.data.x_test
    found = functions.values(x)
    np.testing.assert_array_equal(answers(known), found > 0)
    np.testing.assert_array_equal(summed.data.y_test, found.sum(axis=1) > 0)
    for mine in (0, 1):
        others = np.where(known.inputs == mine, x, x[::-1])
        changed = functions.values(others)
        np.testing.assert_array_equal(changed[:, mine], found[:, mine])
        assert np.abs(changed[:, 1 - mine] - found[:, 1 - mine]).mean() > 0.1


def test_mixed_inputs_tell_as_much_and_belong_to_nobody():
    known = functions.load("sum")
    twin = mixed(known)
    distances = [np.linalg.norm(one.data.x_test[1:] - one.data.x_test[:-1], axis=1) for one in (known, twin)]
    np.testing.assert_allclose(*distances, rtol=1e-5)
    assert np.abs(np.corrcoef(known.data.x_test[:, 0], twin.data.x_test.T)[0, 1:]).max() < 0.95
    np.testing.assert_array_equal(twin.data.y_train, known.data.y_train)
    assert set(twin.inputs) == {-1}


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (lambda: retina.load("nand"), "output must be one of both, and, or, xor, got 'nand'"),
        (lambda: pairs.load("product"), "output must be one of both, sum, got 'product'"),
        (lambda: functions.load("product"), "output must be one of both, sum, got 'product'"),
        (lambda: rules.load(1), "num_rules must be at least 2, got 1"),
    ],
)
def test_what_there_is_not(load, message):
    with pytest.raises(ValueError, match=message):
        load()
