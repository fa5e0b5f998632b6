"""Tests of modularity, explicitness and InfoMEC against formulas, sklearn and known channels."""

import math
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import stats
from sklearn import metrics

from cvq.evaluation.disentanglement import infomec, infomec_score
from cvq.evaluation.disentanglement import modularity_explicitness, modularity_score
from tests.evaluation.disentanglement import samples


class ModularityTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('diagonal', np.diag([5.] * 5), 1),
      ('empty code', np.array([[1., 0], [0, 1], [0, 0]]), 2 / 3),
      ('zero', np.zeros((10, 10)), 0),
      ('redundant codes', np.vstack([np.diag([5.] * 5)] * 2), 1),
      ('missed factors', np.diag([5.] * 5)[:2], 1),
      ('a code for two factors', np.hstack([np.diag([5.] * 5)] * 2), 1 - 1 / 9),
      ('by hand', np.array([[2., 1, 0], [1, 1, 1]]), (1 - 1 / 8 + 0) / 2))
  def test_table(self, table, expected):
    self.assertAlmostEqual(modularity_score.modularity_of(table)['modularity'], expected)

  def test_explicitness_of_a_noisy_bit(self):
    # One code that agrees with a bit in nine of ten cases: the curve has one corner, area .9.
    y = samples.drawn(6000, (2, 2))
    codes = np.where(np.random.default_rng(0).random(y.shape) < .9, y, 1 - y)
    scores = modularity_explicitness(codes, y)
    self.assertAlmostEqual(scores['explicitness'], .9, delta=.02)
    self.assertAlmostEqual(scores['explicitness_train'], .9, delta=.02)

  def test_area_against_ranks(self):
    rng = np.random.default_rng(0)
    values, p = rng.integers(3, size=60), rng.dirichlet(np.ones(3), size=60)
    areas = []
    for value in range(3):
      inside, outside = p[values == value, value], p[values != value, value]
      areas.append(stats.mannwhitneyu(inside, outside).statistic / inside.size / outside.size)
    self.assertAlmostEqual(modularity_score._area(p, values, np.arange(3)), np.mean(areas))
    # A value that is not among these rows is left out.
    seen = values != 2
    expected = np.mean([metrics.roc_auc_score(values[seen] == v, p[seen, v]) for v in (0, 1)])
    self.assertAlmostEqual(modularity_score._area(p[seen], values[seen], np.arange(3)), expected)

  def test_explicit_is_linear(self):
    # Whether two bits differ is in the pair of them, but in no sum of what each says.
    bits = samples.drawn(3000, (2, 2))
    factors = np.column_stack([bits[:, 0], bits[:, 0] ^ bits[:, 1]])
    apart = modularity_explicitness(bits, factors)['explicitness']
    self.assertAlmostEqual(apart, (1 + .5) / 2, delta=.03)
    together = np.column_stack([2 * bits[:, 0] + bits[:, 1], bits[:, 1]])
    self.assertAlmostEqual(modularity_explicitness(together, factors)['explicitness'], 1)

  def test_bins(self):
    factors = samples.grid((4, 4), 50)
    mixed = np.column_stack([factors[:, 0] + 4. * factors[:, 1], factors[:, 1]])
    scores = [modularity_explicitness(mixed, factors, bins=bins)['modularity']
              for bins in (16, 4)]
    self.assertAlmostEqual(scores[0], .5, delta=.02)         # knows either factor in full
    self.assertAlmostEqual(scores[1], 1, delta=.02)          # four bins know the coarse one alone


class InfoMecTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ('diagonal', np.diag([.5] * 4), 1, 1),
      ('all alike', np.full((6, 4), .2), 0, 0),
      ('zero', np.zeros((6, 4)), 0, 0),
      ('duplicated', np.vstack([np.eye(3)] * 2), 1, (1 / 2 - 1 / 6) / (1 - 1 / 6)),
      ('by hand', np.array([[.6, .2], [.1, .1]]),
       ((.75 + .5) / 2 - .5) / .5, ((6 / 7 + 2 / 3) / 2 - .5) / .5))
  def test_table(self, table, modularity, compactness):
    scores = infomec_score.infomec_of(table, np.ones(table.shape[1]))
    self.assertAlmostEqual(scores['modularity'], modularity)
    self.assertAlmostEqual(scores['compactness'], compactness)

  def test_information_is_in_units_of_each_factor_s(self):
    entropies = np.array([2., .5])
    scores = infomec_score.infomec_of(np.array([[2., .5], [0, .25]]), entropies)
    self.assertAlmostEqual(scores['modularity'], ((1 / 2 + 1) / 2 - .5) / .5)
    self.assertAlmostEqual(scores['compactness'], ((1 + 2 / 3) / 2 - .5) / .5)

  def test_columns_out_of_use_are_left_out(self):
    factors = samples.drawn(1200)
    rng = np.random.default_rng(0)
    scores = infomec(factors, factors)
    unused = infomec(np.column_stack([factors, np.full(1200, 3)]), factors)
    for key in scores:
      self.assertAlmostEqual(scores[key], unused[key], places=3)
    latents = factors + rng.normal(0, .05, factors.shape)
    narrow = np.column_stack([latents, rng.uniform(0, .1, 1200)])
    wide = np.column_stack([latents, rng.uniform(0, 1, 1200)])
    score = infomec(latents, factors)['modularity']
    self.assertAlmostEqual(infomec(narrow, factors)['modularity'], score, places=3)
    self.assertLess(infomec(wide, factors)['modularity'], score - .05)

  def test_one_column_in_use(self):
    factors = samples.drawn(300)
    codes = np.column_stack([factors[:, 0], np.zeros(300, int)])
    with self.assertWarnsRegex(UserWarning, 'compactness .* NaN') as caught:
      scores = infomec(codes, factors)
    self.assertEqual(caught.filename, __file__)
    self.assertTrue(math.isnan(scores['compactness']))
    self.assertGreater(scores['modularity'], .9)

  def test_explicitness_of_a_known_channel(self):
    # Regression on one code's one-hot vector predicts p(factor | code): information over entropy.
    size, n = 4, 4000
    rng = np.random.default_rng(0)
    factors = samples.drawn(n, (size, size))
    codes = np.where(rng.random((n, 2)) < .7, factors, rng.integers(size, size=(n, 2)))
    truth = 1 - stats.entropy([.7 + .3 / size] + [.3 / size] * (size - 1)) / math.log(size)
    self.assertAlmostEqual(infomec(codes, factors)['explicitness'], truth, delta=.02)

  def test_explicitness_has_no_penalty(self):
    # Of so few rows even a weak one would leave some of the loss.
    factors = samples.drawn(60)
    self.assertGreater(infomec(factors, factors)['explicitness'], .99)

  def test_explicitness_of_factors_that_are_not_uniform(self):
    # Nothing is known, so nothing is gained on the best constant prediction, the frequencies.
    rng = np.random.default_rng(0)
    factors = np.stack([rng.choice(3, 3000, p=(.8, .1, .1)) for _ in range(2)], -1)
    self.assertAlmostEqual(
        infomec(samples.shuffled(factors), factors)['explicitness'], 0, delta=.01)

  def test_neighbours_against_a_known_channel(self):
    # Values 0 and 1 plus uniform noise of width 2: they overlap by half, half a bit is known.
    factors = samples.drawn(4000, (2, 2))
    latents = factors + np.random.default_rng(0).uniform(-1, 1, factors.shape)
    table = infomec_score._by_neighbours(latents, factors, 0)
    np.testing.assert_allclose(table, np.eye(2) * math.log(2) / 2, atol=.03)

  def test_warns_of_flattery(self):
    factors, codes = samples.drawn(300), samples.drawn(300, (12,) * 12, seed=1)
    with self.assertWarnsRegex(UserWarning, '300 rows .* 132 free features') as caught:
      scores = infomec(codes, factors)
    self.assertEqual(caught.filename, __file__)
    self.assertGreater(scores['explicitness'], .25)
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      infomec(codes[:, :2], factors)


if __name__ == '__main__':
  absltest.main()
