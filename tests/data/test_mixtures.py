import numpy as np
import pytest

from modularity_jax.data import mixtures
from modularity_jax.data.dataset import Dataset


def numbered(start, num_train=40_000, num_test=6_000):
    """A set whose only pixel is the sample's own number; training and test samples share none."""
    x = np.arange(start, start + num_train + num_test, dtype=np.float32)[:, None]
    y = (np.arange(num_train + num_test) % 10).astype(np.int32)
    return Dataset(x[:num_train], y[:num_train], x[num_train:], y[num_train:], num_classes=10)


FIRST, SECOND = numbered(0), numbered(100_000)


def mix(name, first=FIRST, second=SECOND):
    return mixtures.mix(mixtures.parse(name), first, second)


def halves_of(dataset, split):
    """The samples' numbers and labels that came from the first set, and those from the second."""
    x, y = getattr(dataset, split)
    numbers = x[:, 0].astype(int)
    is_first = numbers < 100_000
    return (numbers[is_first], y[is_first]), (numbers[~is_first] - 100_000, y[~is_first])


@pytest.mark.parametrize(("split", "size", "offset"), [("train", 30_000, 0), ("test", 5_000, 40_000)])
def test_pooled_draws_half_from_each(split, size, offset):
    for numbers, labels in halves_of(mix("a+b"), split):
        assert len(set(numbers.tolist())) == len(numbers) == size
        assert numbers.min() >= offset
        assert numbers.max() < offset + size * 4 // 3
        np.testing.assert_array_equal(labels, numbers % 10)


def test_divided_takes_low_labels_from_the_first_and_high_from_the_second():
    first, second = numbered(0, 80_000, 12_000), numbered(100_000, 80_000, 12_000)
    for split, size in [("train", 30_000), ("test", 5_000)]:
        (numbers_a, labels_a), (numbers_b, labels_b) = halves_of(mix("a|b", first, second), split)
        assert len(set(numbers_a.tolist())) == len(set(numbers_b.tolist())) == size
        assert set(labels_a.tolist()) == {0, 1, 2, 3, 4}
        assert set(labels_b.tolist()) == {5, 6, 7, 8, 9}
        np.testing.assert_array_equal(labels_a, numbers_a % 10)
        np.testing.assert_array_equal(labels_b, numbers_b % 10)


def test_a_set_with_too_few_samples_gives_all_it_has():
    dataset = mix("a|b")
    (numbers, _), _ = halves_of(dataset, "train")
    np.testing.assert_array_equal(np.sort(numbers), np.flatnonzero(np.arange(40_000) % 10 < 5))
    assert len(dataset.y_train) == 40_000


def test_the_two_are_shuffled_together():
    x = mix("a+b").x_train[:, 0]
    share = (x[:1000] < 100_000).mean()
    assert abs(share - 0.5) < 5 * np.sqrt(0.25 / 1000)


def test_draws_repeat_and_depend_on_the_name():
    once, again, other = mix("a+b"), mix("a+b"), mix("a+c")
    np.testing.assert_array_equal(once.x_train, again.x_train)
    assert not np.array_equal(once.x_train, other.x_train)


def test_parse():
    assert mixtures.parse("mnist") is None
    assert mixtures.parse("a+b") == ("a+b", "+", ("a", "b"))
    assert mixtures.parse("a|b") == ("a|b", "|", ("a", "b"))


@pytest.mark.parametrize("name", ["a+b+c", "a|b+c", "a+", "|b", "+"])
def test_malformed_names(name):
    with pytest.raises(ValueError, match=r"a mixture is named a\+b or a\|b with two sets, got") as caught:
        mixtures.parse(name)
    assert repr(name) in str(caught.value)
