"""Which variables belong to which factor, on tables with known answers."""

import numpy as np
import pytest

from cvq.evaluation import alignment


def test_by_factor_is_a_mean_over_both_directions():
  rng = np.random.default_rng(0)
  values, actions = rng.random((50, 6)), rng.integers(4, size=50)
  table = alignment.by_factor(values, actions, 2)
  for factor in range(2):
    rows = [values[i] for i in range(50) if actions[i] in (factor, factor + 2)]
    np.testing.assert_allclose(table[:, factor], np.mean(rows, axis=0))
  assert not alignment.by_factor(values[actions % 2 == 0], actions[actions % 2 == 0], 2)[:, 1].any()


def test_agreement_of_aligned_spread_and_opposite_tables():
  aligned, even = np.eye(3), np.ones((3, 3))
  found = alignment.agreement(aligned, aligned)
  assert found == pytest.approx({
      'correlation': 1, 'mask_disentanglement': 1, 'mask_completeness': 1,
      'moved_disentanglement': 1, 'moved_completeness': 1}, abs=1e-6)
  assert alignment.agreement(aligned, 1 - aligned)['correlation'] == pytest.approx(-1)
  spread = alignment.agreement(even, aligned)
  assert spread['correlation'] is None
  assert spread['mask_disentanglement'] == pytest.approx(0, abs=1e-6)


def test_information_of_copies_and_of_noise():
  rng = np.random.default_rng(0)
  factors = np.stack([rng.integers(3, size=4000), rng.integers(5, size=4000),
                      np.full(4000, 2)], axis=-1)
  codes = np.stack([factors[:, 0] * 7, rng.integers(4, size=4000)], axis=-1)
  table = alignment.information_table(codes, factors)
  assert table[0, 0] == pytest.approx(1)
  np.testing.assert_allclose(table[[0, 1, 1], [1, 0, 1]], 0, atol=.01)
  np.testing.assert_array_equal(table[:, 2], 0)
