"""Tests of the FactorVAE and BetaVAE scores, and of the groups of rows that they draw."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from cvq.errors import UserError
from cvq.evaluation.disentanglement import beta_vae, factor_vae, groups
from tests.evaluation.disentanglement import samples


class GroupsTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.values = np.array([0, 1, 1, 2, 2, 2, 2, 3, 2, 1, 2, 2])        # 0 and 3 are alone

  def test_rows_that_share_a_value(self):
    rows = groups.sharing(self.values, 4000, 5, np.random.default_rng(0))
    self.assertEqual(rows.shape, (4000, 5))
    held = self.values[rows]
    self.assertTrue((held == held[:, :1]).all())
    self.assertCountEqual(np.unique(held), [1, 2])
    # A value as often as its rows (3 and 7 of 10), each of its rows alike.
    self.assertAlmostEqual((held == 1).mean(), .3, delta=.03)
    counts = np.bincount(rows.ravel(), minlength=12)
    np.testing.assert_allclose(counts / counts.sum(), np.isin(self.values, (1, 2)) / 10, atol=.01)

  def test_pairs(self):
    first, second = groups.pairs(self.values, 500, 40, np.random.default_rng(0))
    self.assertTrue((first != second).all())
    self.assertTrue((self.values[first] == self.values[second]).all())
    for rows in (first, second):
      share = np.bincount(rows.ravel(), minlength=12) / rows.size
      np.testing.assert_allclose(share, np.isin(self.values, (1, 2)) / 10, atol=.01)
    together = np.bincount((first * 12 + second).ravel(), minlength=144).reshape(12, 12)
    self.assertAlmostEqual(together[1, 2] / together[1].sum(), 1 / 2, delta=.05)
    self.assertAlmostEqual(together[3, 4] / together[3].sum(), 1 / 6, delta=.03)

  @parameterized.parameters(groups.sharing, groups.pairs)
  def test_nothing_shared(self, draw):
    with self.assertRaisesRegex(UserError, 'No two of 3 samples share a value.*Give more samples'):
      draw(np.arange(3), 2, 2, np.random.default_rng(0))

  def test_spread_against_brute_force(self):
    rng = np.random.default_rng(0)
    codes, latents = rng.integers(4, size=50), rng.normal(size=50)
    rows = rng.integers(50, size=(6, 9))
    gini = [sum(a != b for a in codes[r] for b in codes[r]) / (2 * 9 * 8) for r in rows]
    np.testing.assert_allclose(groups.spread(codes, rows), gini)
    np.testing.assert_allclose(groups.spread(latents, rows), [
        ((latents[r] - latents[r].mean()) ** 2).sum() / 8 for r in rows])
    # Half the mean squared difference of pairs is the variance: Gini's is the same with 0 or 1.
    squares = [sum((a - b) ** 2 for a in latents[r] for b in latents[r]) / (2 * 9 * 8)
               for r in rows]
    np.testing.assert_allclose(groups.spread(latents, rows), squares)

  def test_distance_against_brute_force(self):
    rng = np.random.default_rng(0)
    codes, latents = rng.integers(4, size=50), rng.normal(size=50)
    first, second = rng.integers(50, size=(2, 6, 9))
    for column, distance in ((codes, lambda a, b: float(a != b)),
                             (latents, lambda a, b: abs(a - b))):
      np.testing.assert_allclose(
          groups.distance(column, first, second),
          [np.mean([distance(column[i], column[j]) for i, j in zip(r, s)])
           for r, s in zip(first, second)])


class ScoresTest(parameterized.TestCase):

  @parameterized.parameters(factor_vae, beta_vae)
  def test_two_factors_in_one_code(self, metric):
    # Codes for the pair (a, b), and for c twice: whether a or b is held, the first code varies
    # less than free and more than not at all, alike for both where they have as many values.
    factors = samples.drawn(3000, (4, 4, 4))
    codes = np.column_stack([factors[:, 0] * 4 + factors[:, 1], factors[:, 2], factors[:, 2]])
    scores = metric(codes, factors, train=1500, test=1000)
    self.assertAlmostEqual(scores[metric.__name__], 2 / 3, delta=.05)

  def test_factor_vae_takes_codes_as_names(self):
    # As numbers, the ids would make the noisy column of small ids the steadiest of all.
    factors = samples.drawn(2000, (6, 6))
    codes = np.column_stack([factors, samples.drawn(2000, (6,), seed=1)])
    codes = codes * (1000, 1000, 1)
    self.assertEqual(factor_vae(codes, factors, train=500, test=500)['factor_vae'], 1)

  def test_factor_vae_leaves_out_columns_that_are_off(self):
    factors = samples.drawn(2000)
    rng = np.random.default_rng(0)
    latents = np.column_stack([factors + rng.normal(0, .3, factors.shape),
                               np.full(2000, 3.), rng.normal(0, 1e-3, 2000)])
    self.assertGreater(factor_vae(latents, factors, train=900, test=500)['factor_vae'], .95)
    codes = np.column_stack([factors, np.zeros(2000, int)])
    self.assertEqual(factor_vae(codes, factors, train=900, test=500)['factor_vae'], 1)

  def test_factor_vae_shares_the_vote_of_ties(self):
    # b decides a. Where b is held neither code varies: half of these votes go to a's code, where
    # they lose against those of a. Whichever column was first in a tie, it would be .5 or 1.
    b = samples.drawn(2000, (4,))
    factors = np.column_stack([b // 2, b])
    for codes in (factors, factors[:, ::-1]):
      self.assertAlmostEqual(factor_vae(codes, factors, train=2000, test=2000)['factor_vae'],
                             (1 + .5) / 2, delta=.03)

  @parameterized.parameters(factor_vae, beta_vae)
  def test_nothing_is_learnt_by_heart(self, metric):
    # Few rows per value and many random columns: what their luck tells of the training rows is
    # no help with others.
    factors = samples.drawn(240, (8, 8, 8))
    codes = samples.drawn(240, (8,) * 60, seed=1)
    scores = metric(codes, factors, train=1500, test=1500)
    self.assertGreater(scores[metric.__name__ + '_train'], .38)
    self.assertAlmostEqual(scores[metric.__name__], 1 / 3, delta=.09)

  @parameterized.parameters(factor_vae, beta_vae)
  def test_batch(self, metric):
    # A batch of two hardly tells noise from being held; one of 64 does.
    factors = samples.drawn(2000)
    latents = factors + np.random.default_rng(0).normal(0, 1, factors.shape)
    small, large = (metric(latents, factors, batch=batch, train=1000, test=500)[metric.__name__]
                    for batch in (2, 64))
    self.assertLess(small, large - .2)


if __name__ == '__main__':
  absltest.main()
