from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from edgesmith.evaluation.significance import (
    benjamini_hochberg,
    critical_value,
    detectable_effect,
    effective_cells,
    effective_rows,
    excess_influence,
    mean_influence,
    sign_flip,
)
from naive.significance import excess_psi, step_down


def block_sums(seed: int, blocks: int = 40, cells: int = 5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 50, (blocks, cells)).astype(float)
    s = n * rng.normal(size=(blocks, cells))
    return n, s, n.sum(axis=1, keepdims=True) + 10, s.sum(axis=1, keepdims=True) + rng.normal(size=(blocks, 1))


def test_influences_equal_the_formula_and_sum_to_the_difference_of_means() -> None:
    n, s, n_all, s_all = block_sums(1)
    influence = excess_influence(n, s, n_all, s_all)
    for cell in range(n.shape[1]):
        wanted = excess_psi(n[:, cell], s[:, cell], n_all[:, 0], s_all[:, 0])
        np.testing.assert_allclose(influence.psi[:, cell], wanted, rtol=1e-12, atol=1e-15)
        rest = (s_all[:, 0] - s[:, cell]).sum() / (n_all[:, 0] - n[:, cell]).sum()
        assert influence.excess[cell] == pytest.approx(s[:, cell].sum() / n[:, cell].sum() - rest)
        assert influence.blocks_effective[cell] == pytest.approx(np.abs(wanted).sum() ** 2 / (wanted**2).sum())
    assert (influence.blocks == (n > 0).sum(axis=0)).all()


def test_empty_cell_and_cell_without_rest_have_no_influence() -> None:
    n, s, n_all, s_all = block_sums(2)
    n[:, 0], s[:, 0] = 0.0, 0.0
    n[:, 1:2], s[:, 1:2] = n_all, s_all
    influence = excess_influence(n, s, n_all, s_all)
    assert (influence.psi[:, :2] == 0).all() and (influence.standard_error[:2] == 0).all()
    result = sign_flip([(1, influence.psi)], flips=199, seed=1)
    assert (result.p_cell[:2] == 1.0).all() and (result.t[:2] == 0.0).all()


@pytest.mark.parametrize("one_sided", [False, True])
def test_step_down_equals_its_definition(one_sided: bool) -> None:
    rng = np.random.default_rng(3)
    psi = rng.normal(size=(30, 6)) + np.array([0.6, 0.0, -0.5, 0.1, 0.0, 0.3])
    result = sign_flip([(7, psi)], flips=300, seed=11, one_sided=one_sided)
    draws = [(np.random.Generator(np.random.PCG64([11, 7, begin])), count) for begin, count in ((0, 256), (256, 44))]
    drawn = np.concatenate([draw.integers(0, 2, (count, 30), dtype=np.int8) * 2.0 - 1.0 for draw, count in draws])
    unit = psi / np.sqrt((psi**2).sum(axis=0))
    flipped, t = drawn @ unit, unit.sum(axis=0)
    if not one_sided:
        flipped, t = np.abs(flipped), np.abs(t)
    np.testing.assert_array_equal(result.p_family, step_down(t, flipped))
    np.testing.assert_array_equal(result.p_cell, (1 + (flipped >= t).sum(axis=0)) / 301)
    assert (result.p_family >= result.p_cell).all()


def test_t23_p_is_never_zero_and_the_critical_value_knows_the_resolution() -> None:
    strong = np.ones((60, 1)) + np.random.default_rng(4).normal(size=(60, 1)) * 0.01
    result = sign_flip([(1, strong)], flips=199, seed=1)
    assert result.p_cell[0] == result.p_family[0] == 1 / 200
    assert critical_value(result, 0.004) == np.inf
    assert critical_value(result, 1 / 200) == result.maxima[-1]
    # A statistic above the critical value gets p <= alpha, one at or below it does not.
    limit = critical_value(result, 0.05)
    assert (1 + (result.maxima > limit).sum()) / 200 <= 0.05 < (1 + (result.maxima >= limit).sum()) / 200


def test_t22_result_does_not_depend_on_the_order_of_blocks_adding_or_cells() -> None:
    psi = np.random.default_rng(5).standard_t(3, size=(80, 40))
    whole = sign_flip([(1, psi)], flips=500, seed=2)
    order = np.random.default_rng(6).permutation(40)
    permuted = sign_flip([(1, np.asfortranarray(psi[:, order]))], flips=500, seed=2)
    for name in ("t", "p_cell", "p_family"):
        np.testing.assert_array_equal(getattr(whole, name)[order], getattr(permuted, name))
    np.testing.assert_array_equal(whole.maxima, permuted.maxima)


def test_families_of_several_block_lengths_are_one_family() -> None:
    rng = np.random.default_rng(7)
    first, second = rng.normal(size=(60, 3)), rng.normal(size=(35, 4))
    both = sign_flip([(1, first), (2, second)], flips=999, seed=1)
    alone = sign_flip([(1, first)], flips=999, seed=1)
    np.testing.assert_array_equal(both.t[:3], alone.t)
    np.testing.assert_array_equal(both.p_cell[:3], alone.p_cell)
    assert (both.p_family[:3] >= alone.p_family).all()
    assert len(sign_flip([], flips=999, seed=1).t) == 0


def test_detectable_effect_solves_its_equation() -> None:
    n, s, n_all, s_all = block_sums(8, blocks=200)
    influence = excess_influence(n, s, n_all, s_all)
    effect = detectable_effect(influence, 4.0, 0.84)
    by_rows = influence.blocks_by_rows
    np.testing.assert_allclose(by_rows, n.sum(axis=0) ** 2 / (n**2).sum(axis=0))
    error = np.sqrt(influence.standard_error**2 - influence.excess**2 / by_rows + effect**2 / by_rows)
    np.testing.assert_allclose(effect / error, 4.84)
    assert (detectable_effect(excess_influence(*block_sums(8, blocks=20)), 4.0, 0.84) == np.inf).all()


def test_effective_rows_equal_rows_when_rows_are_independent() -> None:
    rng = np.random.default_rng(9)
    g = rng.normal(size=(400, 100))
    inside = rng.random((400, 100)) < 0.3
    n, s, ss = (np.array([(x * inside).sum(axis=1)]).T for x in (np.ones_like(g), g, g * g))
    n_all, s_all, ss_all = np.full((400, 1), 100.0), g.sum(axis=1, keepdims=True), (g * g).sum(axis=1, keepdims=True)
    error = excess_influence(n, s, n_all, s_all).standard_error
    rows = effective_rows(*(x.sum(axis=0) for x in (n, s, ss, n_all, s_all, ss_all)), error)
    assert 0.75 * inside.sum() < rows[0] <= inside.sum()


def test_mean_influence_is_that_of_the_plain_mean() -> None:
    n, s, _, _ = block_sums(10)
    influence = mean_influence(n, s)
    np.testing.assert_allclose(influence.psi.sum(axis=0), s.sum(axis=0) / n.sum(axis=0))


def test_benjamini_hochberg_equals_scipy() -> None:
    p = np.random.default_rng(11).random(50) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))
    assert len(benjamini_hochberg(np.empty(0))) == 0


def test_effective_cells_are_those_of_the_eigenvalues() -> None:
    rng = np.random.default_rng(3)
    alone, shared = rng.normal(size=(400, 6)), rng.normal(size=(400, 1))
    psi = np.hstack([alone, shared * np.array([[1.0, -2.0, 0.5]]), np.zeros((400, 1))])
    unit = psi[:, :9] / np.sqrt((psi[:, :9] ** 2).sum(axis=0))
    values = np.linalg.eigvalsh(unit.T @ unit)
    assert effective_cells([psi]) == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=0.005)
    assert 4.5 < effective_cells([psi]) < 6.0, "six and three that are one: 81 / (6 + 9)"
    assert effective_cells([alone, alone]) == pytest.approx(2 * effective_cells([alone]), rel=0.01)
    assert effective_cells([np.zeros((5, 2))]) == 0.0
