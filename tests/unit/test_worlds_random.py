"""Counter-based random numbers: the twin in plain integers, independence of order, and the shape of each law."""

from __future__ import annotations

import numpy as np
import pytest

from edgesmith.compiled import kernel
from edgesmith.worlds.random import bell_of, child_key, noise_at, normal_at, root_key, uniform_at, word_at

MASK = 2**64 - 1
GOLDEN, MIX_A, MIX_B = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def naive_mixed(word: int) -> int:
    word = (word ^ (word >> 30)) * MIX_A & MASK
    word = (word ^ (word >> 27)) * MIX_B & MASK
    return word ^ (word >> 31)


def naive_child(key: int, label: int) -> int:
    return naive_mixed(naive_mixed(key + GOLDEN & MASK) ^ (label * MIX_B + GOLDEN & MASK))


@kernel
def _fill(key: np.uint64, out: np.ndarray) -> None:
    for i in range(out.shape[1]):
        counter = np.uint64(i)
        out[0, i] = uniform_at(key, counter)
        out[1, i] = normal_at(key, counter)
        out[2, i] = bell_of(word_at(key, counter))
        out[3, i] = noise_at(key, i * 0.37)


def test_keys_and_words_equal_plain_integer_arithmetic() -> None:
    key = naive_child(naive_child(0, 12345), 7)
    assert int(root_key(12345, 7)) == key
    assert int(child_key(root_key(12345, 7), 3, 2)) == naive_child(naive_child(key, 3), 2)
    for counter in (0, 1, 2**40):
        expected = naive_mixed(key + (counter + 1) * GOLDEN & MASK)
        with np.errstate(over="ignore"):
            assert int(word_at(root_key(12345, 7), np.uint64(counter))) == expected


def test_splitmix_words_are_the_published_ones() -> None:
    # First outputs of splitmix64 seeded with 1234567, as published with the algorithm.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    with np.errstate(over="ignore"):
        assert [int(word_at(np.uint64(1234567), np.uint64(i))) for i in range(3)] == published


@pytest.mark.parametrize(("row", "mean", "sd"), [(0, 0.5, 12**-0.5), (1, 0.0, 1.0), (2, 0.0, 1.0)])
def test_laws(row: int, mean: float, sd: float) -> None:
    out = np.empty((4, 200_000))
    _fill(root_key(1, 0), out)
    numbers = out[row]
    assert abs(numbers.mean() - mean) < 4 * sd / len(numbers) ** 0.5
    assert abs(numbers.std() / sd - 1.0) < 0.01
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.01
    if row == 0:
        assert numbers.min() > 0.0 and numbers.max() < 1.0
    if row == 2:
        assert np.abs(numbers).max() < 3.47


def test_noise_has_unit_variance_between_its_nodes_and_no_jumps() -> None:
    out = np.empty((4, 100_000))
    _fill(root_key(2, 0), out)
    assert abs(out[3].std() - 1.0) < 0.03
    assert np.abs(np.diff(out[3])).max() < 5.0 * 0.37 * 3.0


def test_seeds_symbols_and_labels_give_unrelated_sequences() -> None:
    keys = {int(root_key(seed, symbol)) for seed in range(20) for symbol in range(20)}
    keys |= {int(child_key(root_key(1, 1), label)) for label in range(100)}
    assert len(keys) == 500
