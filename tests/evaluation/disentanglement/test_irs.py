"""Tests of cvq.evaluation.disentanglement.irs_score against loops from the definition."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from cvq.evaluation.disentanglement import irs, irs_score
from tests.evaluation.disentanglement import samples


def _by_loops(vectors, factors, quantile):
  """The score of V lists of n vectors: distances from means, held and overall."""
  robust, weights = [], []
  for column in vectors:
    norm = lambda rows: [np.linalg.norm(row - np.mean(rows, 0)) for row in rows]
    largest = max(norm(column))
    if largest == 0:
      continue
    each = []
    for factor in factors.T:
      held = [np.quantile(norm(column[factor == value]), quantile) for value in set(factor)]
      each.append(1 - sum(held) / len(held) / largest)
    robust.append(max(each))
    weights.append(largest)
  return np.average(robust, weights=weights)


class IrsTest(parameterized.TestCase):

  @parameterized.parameters(.99, 1., .5)
  def test_against_loops(self, quantile):
    factors = samples.drawn(150)
    rng = np.random.default_rng(0)
    latents = np.column_stack([factors + rng.normal(0, .3, factors.shape), np.ones(150),
                               rng.normal(0, 9, 150)])
    self.assertAlmostEqual(irs(latents, factors, quantile=quantile)['irs'],
                           _by_loops(latents.T[:, :, None], factors, quantile))
    codes = np.column_stack([np.where(rng.random((150, 3)) < .8, factors, 0),
                             np.full(150, 6), rng.integers(7, size=150)])
    one_hot = [np.eye(7)[column] for column in codes.T]
    self.assertAlmostEqual(irs(codes, factors, quantile=quantile)['irs'],
                           _by_loops(one_hot, factors, quantile))

  def test_deviations_of_codes(self):
    codes = np.random.default_rng(0).integers(4, size=(30, 2))
    for v in range(2):
      one_hot = np.eye(4)[codes[:, v]]
      np.testing.assert_allclose(irs_score.deviations(codes)[:, v],
                                 np.linalg.norm(one_hot - one_hot.mean(0), axis=-1))
    np.testing.assert_array_equal(irs_score.deviations(np.zeros((9, 1), int)), np.zeros((9, 1)))

  def test_large_deviations_weigh_more(self):
    factors = samples.grid((5, 5), 20)
    latents = np.column_stack([factors[:, 0] * 9., samples.shuffled(factors)[:, 1]])
    self.assertAlmostEqual(irs(latents, factors)['irs'], .9, delta=.03)
    self.assertAlmostEqual(irs(latents / (9, 1), factors)['irs'], .5, delta=.08)

  def test_chance_of_latents_is_as_documented(self):
    factors = samples.drawn(10_000)
    latents = np.random.default_rng(0).normal(size=(10_000, 8))
    self.assertAlmostEqual(irs(latents, factors)['irs'], .36, delta=.06)


if __name__ == '__main__':
  absltest.main()
