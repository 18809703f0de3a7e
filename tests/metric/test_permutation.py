"""The keyed bijection behaves like a permutation drawn uniformly.

Every statistic is compared with its exact law over uniform permutations; `nets.assert_counts` allows 1e-4 in each tail.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from modularity_jax.metric.permutation import NUM_ROUNDS, permuted_index, permuted_parts, random_words
from tests.metric import nets


@jax.jit(static_argnames="length")
def permutations(keys, size, *, length):
    """The first `length` values of a permutation of 0..size - 1 for each key, [keys, length]; size is traced."""
    draw = functools.partial(permuted_index, jnp.arange(length), size, max_size=length)
    return jax.vmap(lambda key: draw(random_words(key)))(keys)


permuted = jax.jit(permuted_index, static_argnames="max_size")


def whole(seed, count, size):
    """All values for each of `count` keys, some at a time: one program a size."""
    parts = nets.keys(seed, count).reshape(-1, math.gcd(count, 500))
    return np.concatenate([permutations(part, size, length=size) for part in parts])


def z_score(samples, mean, variance):
    """How far the samples' mean lies from theory, in standard errors."""
    return (np.mean(samples) - mean) / math.sqrt(variance / len(samples))


@pytest.mark.parametrize("size", [2, 3, 4, 5, 6])
def test_all_orders_are_equally_likely(size):
    count = 60_000  # shows orders of 6 elements that are 23% too likely, as twelve rounds on a 3 x 2 grid leave them
    drawn = np.asarray(permutations(nets.keys(size, count), size, length=6))[:, :size]
    codes = drawn @ (size ** np.arange(size))
    known = [np.dot(order, size ** np.arange(size)) for order in itertools.permutations(range(size))]
    assert set(codes) == set(known)
    nets.assert_counts([np.sum(codes == code) for code in known], count / math.factorial(size))


@pytest.mark.parametrize("size", [7, 8, 24, 48, 80])
def test_half_of_the_permutations_are_odd(size):
    # The smallest grids for these sizes are 3 x 3, 5 x 5, 7 x 7 and 9 x 9, and rotations of an odd number are even.
    rows = whole(14, 10_000, size)
    odd = sum((rows[:, i, None] > rows[:, i + 1 :]).sum(axis=1) for i in range(size - 1)) % 2
    nets.assert_counts(np.bincount(odd, minlength=2), 5000)


def test_one_element_stays():
    assert permutations(nets.keys(0, 3), 1, length=1).tolist() == [[0]] * 3


@pytest.mark.parametrize("size", [7, 100, 257, 2560, 65536, 200704])
def test_is_a_bijection(size):
    for row in np.asarray(permutations(nets.keys(1, 3), size, length=200704))[:, :size]:
        np.testing.assert_array_equal(np.sort(row), np.arange(size))
        assert not np.array_equal(row, np.arange(size))


@pytest.mark.parametrize(("size", "count"), [(7, 20_000), (100, 10_000), (257, 5_000)])
def test_every_place_gets_every_value(size, count):
    drawn = whole(2, count, size)
    seen = np.stack([np.bincount(column, minlength=size) for column in drawn.T])
    # The counts of permutation matrices have fixed row and column sums, hence the factor and the degrees of freedom.
    statistic = ((seen - count / size) ** 2 / (count / size)).sum() * (size - 1) / size
    nets.assert_chi_square(statistic, (size - 1) ** 2)


@pytest.mark.parametrize("by", ["range", "remainder"])
@pytest.mark.parametrize("size", [2560, 65536])
def test_groups_of_places_get_groups_of_values(size, by):
    # Of one permutation, the [group of places, group of values] table of counts has a Pearson statistic of mean
    # freedom * N / (N - 1); over permutations they add up.
    groups, count = 16, 60
    tables = []
    for row in whole(3, count, size):
        place, value = (x * groups // size if by == "range" else x % groups for x in (np.arange(size), row))
        tables.append(np.bincount(place * groups + value, minlength=groups**2))
    tables, expected, freedom = np.array(tables), size / groups**2, (groups - 1) ** 2
    shrink = (size - 1) / size
    nets.assert_chi_square(((tables - expected) ** 2 / expected).sum() * shrink, freedom * count)
    total = tables.sum(axis=0)
    nets.assert_chi_square(((total - count * expected) ** 2 / (count * expected)).sum() * shrink, freedom)


@pytest.mark.parametrize("size", [100, 257])
@pytest.mark.parametrize("lag", [1, 10, 16, 50])
def test_values_of_two_places_are_independent(size, lag):
    # A grid of 11 x 10 or 17 x 16 cells lies behind these sizes, so these lags join neighbours along both its sides.
    drawn = whole(4, 20_000, size)
    for place in (0, 9, size - lag - 1):
        first, second = drawn[:, place], drawn[:, place + lag]
        nets.assert_counts(np.bincount((second - first) % size, minlength=size)[1:], len(drawn) / (size - 1))
        tenths = np.arange(size) * 10 // size
        share = np.bincount(tenths)
        pairs = (share[:, None] * share[None, :] - np.diag(share)) / (size * (size - 1))
        seen = np.bincount(tenths[first] * 10 + tenths[second], minlength=100)
        nets.assert_counts(seen, len(drawn) * pairs)


@pytest.mark.parametrize("size", [7, 100, 257])
def test_fixed_points(size):
    count = 10_000
    fixed = (whole(5, count, size) == np.arange(size)).sum(axis=1)
    # Exactly d of n points are fixed in n! / d! * sum_{i <= n - d} (-1)^i / i! orders; Poisson(1) for large n.
    law = [sum((-1) ** i / math.factorial(i) for i in range(size - d + 1)) / math.factorial(d) for d in range(5)]
    nets.assert_counts(np.bincount(np.minimum(fixed, 5), minlength=6), count * np.array([*law, 1 - sum(law)]))


def test_permutations_of_keys_in_a_row_agree_no_more_than_by_chance():
    drawn = whole(6, 10_000, 100)
    agree = (drawn[1::2] == drawn[::2]).sum(axis=1)
    law = scipy.stats.poisson.pmf(np.arange(5), 1)
    nets.assert_counts(np.bincount(np.minimum(agree, 5), minlength=6), len(agree) * np.array([*law, 1 - law.sum()]))


def cycles(row):
    found, seen = 0, np.zeros(row.size, bool)
    for start in range(row.size):
        found += not seen[start]
        while not seen[start]:
            seen[start] = True
            start = row[start]
    return found


def test_number_of_cycles():
    size = 60
    found = [cycles(row) for row in whole(7, 4000, size)]
    mean = sum(1 / i for i in range(1, size + 1))
    variance = mean - sum(1 / i**2 for i in range(1, size + 1))
    assert abs(z_score(found, mean, variance)) < 4
    assert np.var(found) == pytest.approx(variance, rel=5 * math.sqrt(2 / 4000))


@pytest.mark.parametrize("size", [60, 257])
def test_inversions(size):
    rows = whole(8, 2000, size)
    found = sum((rows[:, i, None] > rows[:, i + 1 :]).sum(axis=1) for i in range(size - 1))
    variance = size * (size - 1) * (2 * size + 5) / 72
    assert abs(z_score(found, size * (size - 1) / 4, variance)) < 4
    assert np.var(found) == pytest.approx(variance, rel=4 * math.sqrt(2 / 2000))


@pytest.mark.parametrize("size", [60, 2560])
def test_ascents(size):
    # The number of i with value i + 1 above value i follows the Eulerian law.
    found = (np.diff(whole(9, 1000, size), axis=1) > 0).sum(axis=1)
    assert abs(z_score(found, (size - 1) / 2, (size + 1) / 12)) < 4
    assert np.var(found) == pytest.approx((size + 1) / 12, rel=4 * math.sqrt(2 / 1000))


@pytest.mark.parametrize(("size", "length"), [(256, 3), (256, 4), (2560, 4)])
def test_serial_order_of_neighbours(size, length):
    # The relative orders of places that do not overlap are independent and uniform over all orders.
    rows = whole(10, 500, size)
    parts = rows[:, : size // length * length].reshape(-1, length)
    codes = np.argsort(parts, axis=1) @ (length ** np.arange(length))
    _, seen = np.unique(codes, return_counts=True)
    assert seen.size == math.factorial(length)
    nets.assert_counts(seen, len(parts) / seen.size)


@pytest.mark.parametrize("size", [30, 257])
def test_no_two_keys_give_the_same_permutation(size):
    assert len(np.unique(whole(11, 10_000, size), axis=0)) == 10_000


def test_each_row_takes_a_permutation_of_its_own():
    count, rows, size = 8000, 4, 3
    one = functools.partial(permuted_index, jnp.arange(size), size, max_size=size)
    draw = jax.vmap(lambda key: jax.vmap(one)(random_words(key, (rows,))))
    drawn = np.asarray(jax.jit(draw)(nets.keys(12, count)))
    assert drawn.shape == (count, rows, size)
    np.testing.assert_array_equal(np.sort(drawn, axis=2), np.broadcast_to(np.arange(size), drawn.shape))
    order = drawn[:, :, 0] * 2 + (drawn[:, :, 1] > drawn[:, :, 2])
    for first, second in itertools.combinations(range(rows), 2):
        nets.assert_counts(np.bincount(order[:, first] * 6 + order[:, second], minlength=36), count / 36)


def test_same_words_give_the_same_permutation_whatever_is_asked():
    words = random_words(jax.random.key(13))
    assert words.shape == (NUM_ROUNDS,)
    all_of_it = permuted(jnp.arange(100), 100, words, max_size=100)
    some = jnp.array([0, 3, 50, 99])
    np.testing.assert_array_equal(permuted(some, 100, words, max_size=100), all_of_it[some])
    np.testing.assert_array_equal(permuted(some, 100, words, max_size=10_000), all_of_it[some])


@pytest.mark.parametrize("size", [2, 7, 17, 100, 2560, 65536, 200704])
def test_few_indices_are_permuted_as_all_are(size):
    # Those whose cell leads out of the range are found by walking back from outside: every one of them, near or far.
    words = random_words(jax.random.key(15))
    whole = permuted(jnp.arange(size), size, words, max_size=size)
    some = np.sort(np.random.default_rng(0).choice(size, max(1, size // 10), replace=False))
    padded = jnp.concatenate([jnp.asarray(some), jnp.full(3, size)])
    np.testing.assert_array_equal(permuted(padded, size, words, max_size=size)[:-3], whole[some])


def test_orders_of_parts_are_equally_likely_together():
    sizes, count = (3, 0, 4), 15_000
    draw = jax.jit(jax.vmap(lambda key: permuted_parts(jnp.array(sizes), random_words(key), length=9, max_size=4)))
    drawn = np.asarray(draw(nets.keys(15, count)))[:, :7]
    np.testing.assert_array_equal(np.sort(drawn[:, :3]), np.broadcast_to(np.arange(3), (count, 3)))
    np.testing.assert_array_equal(np.sort(drawn[:, 3:]), np.broadcast_to(np.arange(3, 7), (count, 4)))
    seen = np.unique(drawn @ 7 ** np.arange(7), return_counts=True)[1]
    assert seen.size == 6 * 24
    nets.assert_counts(seen, count / seen.size)


def test_large_parts_are_permuted():
    sizes, ends = [65536, 1, 7, 2560, 257], [0, 65536, 65537, 65544, 68104, 68361]
    draw = jax.jit(functools.partial(permuted_parts, length=70_000, max_size=65536))
    drawn = np.asarray(draw(jnp.array(sizes), random_words(jax.random.key(0))))
    for start, end in itertools.pairwise(ends):
        np.testing.assert_array_equal(np.sort(drawn[start:end]), np.arange(start, end))
        assert end == start + 1 or not np.array_equal(drawn[start:end], np.arange(start, end))
