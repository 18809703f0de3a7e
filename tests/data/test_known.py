"""Tasks whose modules are known have them."""

import numpy as np
import pytest

from modularity_jax.data import arithmetic, digits, functions, pairs, permuted, retina, rules
from modularity_jax.data.known import by_group, mixed


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


def numbers(x, num_digits):
    """What one-hot digits [n, 10 D k] say, [n, k]."""
    digits = x.reshape(len(x), -1, num_digits, 10).argmax(axis=3)
    return digits @ 10 ** np.arange(num_digits)[::-1]


@pytest.mark.parametrize("num_digits", [1, 2])
def test_double_addition_shows_one_of_two_pairs(num_digits):
    known, size = arithmetic.double_addition(num_digits), 10**num_digits
    x, said = known.data.x_test, answers(known)
    assert len(np.unique(x, axis=0)) == len(x) == 2 * size**2
    np.testing.assert_array_equal(x.sum(axis=1), 2 * num_digits)
    for pair in (0, 1):
        own = known.groups == pair
        assert not x[np.ix_(own, known.inputs != pair)].any()
        a, b = numbers(x[np.ix_(own, known.inputs == pair)], num_digits).T
        sums, others = np.split(said[own], 2, axis=1)[:: 1 - 2 * pair]
        np.testing.assert_array_equal(sums @ 10 ** np.arange(num_digits)[::-1], (a + b) % size)
        assert not others.any()
        assert known.outputs.tolist().count(pair) == 10 * num_digits
    assert (np.diff(known.outputs) >= 0).all()


@pytest.mark.parametrize("num_digits", [1, 2])
def test_sums_and_products(num_digits):
    known, size = arithmetic.add_multiply(num_digits), 10**num_digits
    x, said = known.data.x_test, answers(known) @ 10 ** np.arange(num_digits)[::-1]
    assert len(np.unique(x, axis=0)) == len(x) == 2 * size**2
    np.testing.assert_array_equal(x[:, known.inputs >= 0].argmax(axis=1), known.groups)
    a, b = numbers(x[:, known.inputs < 0], num_digits).T
    np.testing.assert_array_equal(said, np.where(known.groups == 0, a + b, a * b) % size)
    assert set(known.outputs) == {-1}


def test_digits_in_other_orders():
    known, source = permuted.load(3), digits.load()
    train, test = by_group(known)
    assert train.x.shape == (3, len(source.y_train), 64)
    np.testing.assert_array_equal(test.x[0], source.x_test)
    for split, images in ((train, source.train), (test, source.test)):
        for own, labels in zip(split.x, split.y, strict=True):
            np.testing.assert_array_equal(labels, images.y)
            np.testing.assert_allclose(np.sort(own), np.sort(images.x))
    moved = (train.x[1:] != source.x_train).any(axis=1)  # of some image the pixel differs
    assert moved.mean(axis=1).min() > 0.8
    assert (train.x[1] != train.x[2]).any(axis=0).mean() > 0.8


def test_groups_side_by_side():
    known = rules.load(3)
    train, test = by_group(known)
    for split, groups, whole in ((train, known.train_groups, known.data.train), (test, known.groups, known.data.test)):
        sizes = np.bincount(groups)
        assert split.x.shape == (3, sizes.max(), 5)
        for own, size, group in zip(split.x, sizes, range(3), strict=True):
            np.testing.assert_array_equal(own[:size], whole.x[groups == group])
            np.testing.assert_array_equal(own[size:], own[: sizes.max() - size])
        np.testing.assert_array_equal(split.x[:, :, 2:].argmax(axis=2), np.arange(3)[:, None].repeat(sizes.max(), 1))
    with pytest.raises(ValueError, match="known must have groups of training and of test samples, got none"):
        by_group(retina.load())


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
        (lambda: arithmetic.double_addition(0), "num_digits must be at least 1, got 0"),
        (lambda: arithmetic.add_multiply(0), "num_digits must be at least 1, got 0"),
        (lambda: permuted.load(1), "num_permutations must be at least 2, got 1"),
    ],
)
def test_what_there_is_not(load, message):
    with pytest.raises(ValueError, match=message):
        load()
