"""Tests of counted information, MIG and bootstrap intervals against brute force and formulas."""

import collections
import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import stats
from sklearn import metrics

from cvq.evaluation.disentanglement import bootstrap, infomec, mig, modularity_explicitness
from cvq.evaluation.disentanglement import information
from tests.evaluation.disentanglement import samples


def _by_counting(a, b):
  """I(a; b) in nats from the definition, cell by cell."""
  n, pairs = len(a), collections.Counter(zip(a, b))
  of_a, of_b = collections.Counter(a), collections.Counter(b)
  return sum(m / n * math.log(m * n / (of_a[i] * of_b[j])) for (i, j), m in pairs.items())


class InformationTest(parameterized.TestCase):

  def test_against_brute_force_and_sklearn(self):
    codes, factors = samples.drawn(80, (3, 7, 2, 5)), samples.drawn(80, seed=1)
    codes[:, 1] = codes[:, 1] + factors[:, 0]
    table = information.mutual_information(codes, factors)
    self.assertEqual(table.shape, (4, 3))
    for v, code in enumerate(codes.T):
      for f, factor in enumerate(factors.T):
        self.assertAlmostEqual(table[v, f], _by_counting(code, factor))
        self.assertAlmostEqual(table[v, f], metrics.mutual_info_score(code, factor))

  def test_entropies_against_formulas(self):
    counts = np.array([5, 1, 0, 10])
    ids = np.repeat(np.arange(4), counts)[:, None]
    np.testing.assert_allclose(information.entropies(ids), [stats.entropy(counts)])
    np.testing.assert_allclose(information.entropies(samples.grid()), np.log(samples.SIZES))

  def test_weights_are_repeats(self):
    codes, factors = samples.drawn(50, (3, 7)), samples.drawn(50, seed=1)
    weights = np.random.default_rng(0).integers(4, size=50)
    repeat = lambda a: np.repeat(a, weights, axis=0)
    np.testing.assert_allclose(information.mutual_information(codes, factors, weights),
                               information.mutual_information(repeat(codes), repeat(factors)))
    np.testing.assert_allclose(information.entropies(codes, weights),
                               information.entropies(repeat(codes)))

  def test_excess_of_independent_columns(self):
    codes, factors = samples.drawn(2000, (9,) * 40), samples.drawn(2000, (6,) * 40, seed=1)
    mean = information.mutual_information(codes, factors).mean()
    self.assertAlmostEqual(mean / (8 * 5 / (2 * 2000)), 1, delta=.05)


class MigTest(parameterized.TestCase):

  def test_by_hand(self):
    # Bit 0 of a factor with 4 values is half its entropy; both bits are there, so no gap for it.
    factors = samples.grid((4, 2), 50)
    codes = np.stack([factors[:, 0] % 2, factors[:, 0] // 2, factors[:, 1]], axis=-1)
    self.assertAlmostEqual(mig(codes, factors)['mig'], (0 + 1) / 2)
    codes[:, 1] = factors[:, 0]
    self.assertAlmostEqual(mig(codes, factors)['mig'], (.5 + 1) / 2)

  def test_against_definition_on_noise(self):
    factors = samples.drawn(400)
    codes = np.concatenate([factors // 2, samples.drawn(400, (3, 3), seed=1)], axis=-1)
    gaps = []
    for factor in factors.T:
      told = sorted(_by_counting(code, factor) for code in codes.T)
      gaps.append((told[-1] - told[-2]) / _by_counting(factor, factor))
    self.assertAlmostEqual(mig(codes, factors)['mig'], np.mean(gaps))

  def test_draws_rows(self):
    factors = samples.drawn(500)
    codes = np.where(np.random.default_rng(0).random((500, 3)) < .5, factors, 0)
    scores = [mig(codes, factors, samples=100, seed=seed)['mig'] for seed in (0, 0, 1)]
    self.assertEqual(scores[0], scores[1])
    self.assertNotEqual(scores[0], scores[2])
    self.assertEqual(mig(codes, factors, seed=0)['mig'], mig(codes, factors, samples=500)['mig'])

  def test_bins(self):
    factors = samples.grid((4, 2), 50)
    latents = factors + np.random.default_rng(0).uniform(0, .01, factors.shape)
    self.assertAlmostEqual(mig(latents, factors)['mig'], 1)
    # Two bins leave one bit of two.
    self.assertAlmostEqual(mig(latents, factors, bins=2)['mig'], (.5 + 1) / 2)


class BootstrapTest(parameterized.TestCase):

  def test_covers_the_truth(self):
    # A code is a factor's value, or any other with a chance of 0.3: its information is known.
    rng, size, n = np.random.default_rng(0), 4, 300
    kept = .7 + .3 / size
    truth = 1 - stats.entropy([kept] + [.3 / size] * (size - 1)) / np.log(size)
    hits, widths = [], []
    for seed in range(120):
      factors = samples.drawn(n, (size,) * 3, seed=seed)
      codes = np.where(rng.random(factors.shape) < .7, factors, rng.integers(size, size=(n, 3)))
      low, high = bootstrap(mig, codes, factors, resamples=60, level=.9, seed=seed)['mig']
      hits.append(low <= truth <= high)
      widths.append(high - low)
    # With 120 trials a coverage of 0.9 has a standard error of 0.027; 60 resamples cost some.
    self.assertBetween(np.mean(hits), .80, .98)
    self.assertBetween(np.mean(widths), .02, .2)

  def test_narrows_with_samples(self):
    widths = []
    for n in (200, 3200):
      factors = samples.drawn(n)
      codes = np.where(np.random.default_rng(0).random((n, 3)) < .7, factors, 0)
      low, high = bootstrap(mig, codes, factors)['mig']
      widths.append(high - low)
    self.assertAlmostEqual(widths[0] / widths[1], 4, delta=1.5)           # by sqrt(16)

  def test_widens_with_level(self):
    factors = samples.drawn(1000)
    codes = np.where(np.random.default_rng(0).random((1000, 3)) < .7, factors, 0)
    widths = [np.diff(bootstrap(mig, codes, factors, level=level, resamples=1000)['mig'])[0]
              for level in (.95, .5)]
    expected = stats.norm.ppf(.975) / stats.norm.ppf(.75)                 # nearly normal: 2.9
    self.assertAlmostEqual(widths[0] / widths[1], expected, delta=.4)

  def test_keys_and_determinism(self):
    factors = samples.drawn(300)
    codes = np.where(np.random.default_rng(0).random((300, 3)) < .7, factors, 0)
    self.assertEqual(bootstrap(modularity_explicitness, codes, factors).keys(), {'modularity'})
    self.assertEqual(bootstrap(infomec, codes, factors).keys(), {'modularity', 'compactness'})
    first = bootstrap(mig, codes, factors, resamples=20, seed=1)
    self.assertEqual(first, bootstrap(mig, codes, factors, resamples=20, seed=1))
    self.assertNotEqual(first, bootstrap(mig, codes, factors, resamples=20, seed=2))

  def test_holds_the_score_where_counting_has_no_bias(self):
    factors = samples.grid(times=10)
    for metric in (mig, infomec):
      for low, high in bootstrap(metric, factors, factors).values():
        self.assertBetween(low, .97, 1)
        self.assertEqual(high, 1)

  def test_is_about_the_score_of_the_same_rows(self):
    factors = samples.drawn(2000)
    codes = np.where(np.random.default_rng(0).random((2000, 3)) < .8, factors, 0)
    for metric in (mig, modularity_explicitness, infomec):
      size = 'train' if metric is modularity_explicitness else 'samples'
      scores = metric(codes, factors, **{size: 1000}, seed=5)
      for key, (low, high) in bootstrap(metric, codes, factors, samples=1000, seed=5).items():
        self.assertBetween(scores[key], low - .02, high + .02)
        self.assertLess(high - low, .2)


if __name__ == '__main__':
  absltest.main()
