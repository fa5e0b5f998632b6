"""What every metric has to say of perfect, renamed, duplicated, random and entangled columns."""

import functools
import math

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import pytest

from cvq.evaluation import disentanglement
from tests.evaluation.disentanglement import samples

F = len(samples.SIZES)
N = 900
# No column but the right one predicts a factor better than its commonest value does.
SAP_LIMIT = 1 - np.mean([1 / size for size in samples.SIZES])


def _metric(name):
  small = {'beta_vae': {'train': 400, 'test': 200}, 'factor_vae': {'train': 400, 'test': 200}}
  if name == 'dci_logistic':
    return functools.partial(disentanglement.dci, predictor='logistic')
  if name == 'sap_continuous':
    return functools.partial(disentanglement.sap, continuous_factors=True)
  return functools.partial(getattr(disentanglement, name), **small.get(name, {}))


NAMES = ('beta_vae', 'dci', 'dci_logistic', 'factor_vae', 'infomec', 'irs', 'mig',
         'modularity_explicitness', 'sap', 'sap_continuous')


class KnownAnswersTest(parameterized.TestCase):

  def _close(self, scores, expected, delta):
    self.assertEqual(scores.keys(), expected.keys())
    for key, value in expected.items():
      self.assertIsInstance(scores[key], float)
      self.assertAlmostEqual(scores[key], value, delta=delta, msg=key)

  @parameterized.parameters(*NAMES)
  def test_codes_equal_to_factors(self, name):
    factors = samples.drawn(N)
    delta = {'mig': .02, 'infomec': .03, 'sap': .05, 'sap_continuous': .02}.get(name, 1e-3)
    scores = _metric(name)(factors, factors)
    self._close(scores, dict.fromkeys(scores, SAP_LIMIT if name == 'sap' else 1.), delta)

  @parameterized.parameters(*(name for name in NAMES if name != 'sap'))
  def test_latents_equal_to_factors(self, name):
    factors = samples.drawn(N)
    latents = factors * (1., -2., 3.) + (5, 0, 1)
    scores = _metric(name)(latents, factors)
    # A linear model has no use for middle values; neighbours estimate with some error.
    delta = {'mig': .02, 'infomec': .1, 'modularity_explicitness': .1, 'dci_logistic': .1,
             'sap_continuous': .02}
    self._close(scores, dict.fromkeys(scores, 1.), delta.get(name, 1e-3))

  @parameterized.parameters(*NAMES)
  def test_names_of_codes_and_order_of_columns_tell_nothing(self, name):
    factors = samples.drawn(N)
    rng = np.random.default_rng(1)
    kept = .1 if name.endswith('_vae') else .7           # these two see through more noise
    codes = np.where(rng.random(factors.shape) < kept, factors, rng.integers(3, size=(N, F)))
    codes = np.concatenate([codes, samples.drawn(N, (3, 4), seed=5)], axis=-1)
    scores = _metric(name)(codes, factors)
    renamed = samples.relabelled(codes)[:, [3, 1, 4, 0, 2]]
    # An iterative fit that goes through the weights in another order ends nearby.
    delta = {'beta_vae': .01, 'dci_logistic': .01, 'infomec': 1e-3,
             'modularity_explicitness': 1e-3}.get(name, 1e-9)
    self._close(_metric(name)(renamed, factors), scores, delta)
    self.assertLess(min(scores.values()), .99)

  @parameterized.parameters('dci', 'factor_vae', 'irs', 'mig', 'modularity_explicitness')
  def test_order_of_latents_tells_nothing(self, name):
    factors = samples.drawn(N)
    latents = factors + np.random.default_rng(1).normal(size=factors.shape)
    scores = _metric(name)(latents, factors)
    delta = 1e-3 if name == 'modularity_explicitness' else 1e-9
    self._close(_metric(name)(latents[:, [2, 0, 1]], factors), scores, delta)

  @parameterized.parameters(*NAMES)
  @pytest.mark.slow
  def test_duplicated_codes(self, name):
    factors = samples.drawn(N)
    scores = _metric(name)(np.concatenate([factors, samples.relabelled(factors)], -1), factors)
    lost = {'completeness': 1 - math.log(2) / math.log(2 * F),      # two of 2F share evenly
            'compactness': (1 / 2 - 1 / (2 * F)) / (1 - 1 / (2 * F)), 'mig': 0., 'sap': 0.}
    expected = {key: lost.get(key, 1.) for key in scores}
    self._close(scores, expected, .03 if name == 'infomec' else 2e-3)

  def test_random_codes(self):
    n = 3000
    factors = samples.drawn(n)
    codes = samples.shuffled(factors)
    score = lambda name: _metric(name)(codes, factors)
    commonest = np.mean([1 / size for size in samples.SIZES])
    chance = {
        'mig': {'mig': 0.}, 'sap': {'sap': 0.}, 'sap_continuous': {'sap': 0.},
        'irs': {'irs': 0.},
        'factor_vae': dict.fromkeys(('factor_vae', 'factor_vae_train'), 1 / F),
        'beta_vae': dict.fromkeys(('beta_vae', 'beta_vae_train'), 1 / F)}
    delta = {'factor_vae': .12, 'beta_vae': .12}
    for name, expected in chance.items():
      with self.subTest(name):
        self._close(score(name), expected, delta.get(name, .03))
    self.assertAlmostEqual(score('modularity_explicitness')['explicitness'], .5, delta=.03)
    self.assertAlmostEqual(score('dci_logistic')['informativeness'], commonest, delta=.04)
    wide = np.concatenate([samples.shuffled(factors, seed) for seed in range(8)], -1)
    self.assertLess(disentanglement.infomec(wide, factors)['compactness'], .1)

  @parameterized.parameters('dci', 'dci_logistic')
  def test_random_columns_are_important_to_all_factors(self, name):
    factors = samples.drawn(N)
    wide = np.concatenate([samples.shuffled(factors, seed) for seed in range(4)], -1)
    for representation in (wide, wide + np.random.default_rng(0).normal(size=wide.shape)):
      scores = _metric(name)(representation, factors)
      self.assertBetween(scores['disentanglement'], 0, .15)
      self.assertBetween(scores['completeness'], 0, .15)

  def test_explicitness_of_random_codes_is_the_excess_of_a_fit(self):
    # Twice the gain in log-likelihood of P (C - 1) useless weights is chi-squared (Wilks 1938).
    n, sizes = 2000, (4, 5, 3)
    factors, codes = samples.drawn(n, sizes), samples.drawn(n, (6,) * 8, seed=9)
    expected = np.mean([8 * 5 * (size - 1) / (2 * n * math.log(size)) for size in sizes])
    self.assertAlmostEqual(
        disentanglement.infomec(codes, factors)['explicitness'] / expected, 1, delta=.25)

  @parameterized.parameters(*NAMES)
  @pytest.mark.slow
  def test_noise_costs(self, name):
    factors = samples.drawn(N)
    rng = np.random.default_rng(2)
    # The explicitness of a fit's own rows, and of other rows, go the same way.
    means = []
    for kept in (1., .8, .5, .2):
      codes = np.where(rng.random(factors.shape) < kept, factors, samples.shuffled(factors))
      means.append(np.mean(list(_metric(name)(codes, factors).values())))
    if name == 'irs':              # one sample in a hundred off its mean is as far off as all
      self.assertLess(max(means[1:]), means[0] - .3)
    elif name in ('factor_vae', 'beta_vae'):               # noise alone mixes up no columns
      self.assertLess(means[3], means[0])
    else:
      self.assertEqual(means, sorted(means, reverse=True))

  @parameterized.parameters('beta_vae', 'dci', 'factor_vae')
  def test_seed(self, name):
    factors = samples.drawn(300)
    codes = np.where(np.random.default_rng(2).random(factors.shape) < .5, factors, 0)
    scores = [_metric(name)(codes, factors, seed=seed) for seed in (1, 1, 2)]
    self.assertEqual(scores[0], scores[1])
    self.assertNotEqual(scores[0], scores[2])


class RotationTest(parameterized.TestCase):
  """Two of three factors turned by 45 degrees, on a grid where counts are exact."""

  sizes = (5, 5, 5)

  def setUp(self):
    super().setUp()
    self.factors = samples.grid(self.sizes, 8)
    self.latents = samples.rotated(self.factors)
    self.codes = np.column_stack([self.factors[:, 0] + self.factors[:, 1],
                                  self.factors[:, 0] - self.factors[:, 1], self.factors[:, 2]])

  @parameterized.parameters('latents', 'codes')
  def test_information(self, kind):
    representation = getattr(self, kind)
    # Either turned column knows as much of one factor as of the other: no gap, half the share.
    self.assertAlmostEqual(disentanglement.mig(representation, self.factors)['mig'], 1 / 3)
    modularity = disentanglement.modularity_explicitness(
        representation, self.factors, train=800, test=200)['modularity']
    self.assertAlmostEqual(modularity, (1 / 2 + 1 / 2 + 1) / 3, delta=.02)
    if kind == 'codes':
      scores = disentanglement.infomec(representation, self.factors)
      share = ((1 / 2 + 1 / 2 + 1) / 3 - 1 / 3) / (1 - 1 / 3)
      self.assertAlmostEqual(scores['modularity'], share)
      self.assertAlmostEqual(scores['compactness'], share)

  def test_information_by_neighbours(self):
    noise = np.random.default_rng(0).normal(0, .1, self.latents.shape)
    scores = disentanglement.infomec(self.latents + noise, self.factors)
    self.assertAlmostEqual(scores['modularity'], .5, delta=.08)
    self.assertAlmostEqual(scores['compactness'], .5, delta=.08)

  @parameterized.parameters('factor_vae', 'beta_vae')
  def test_held_factors_that_look_alike(self, name):
    # Of the two turned factors one can't be told from the other: right in half of their cases.
    scores = getattr(disentanglement, name)(self.latents, self.factors, train=1500, test=800)
    self.assertAlmostEqual(scores[name], (1 / 2 + 1 / 2 + 1) / 3, delta=.05)

  @parameterized.parameters('trees', 'logistic')
  def test_importance(self, predictor):
    scores = disentanglement.dci(self.latents, self.factors, predictor=predictor)
    expected = (2 * (1 - math.log(2) / math.log(3)) + 1) / 3
    self.assertAlmostEqual(scores['disentanglement'], expected, delta=.05)
    self.assertAlmostEqual(scores['completeness'], expected, delta=.05)

  def test_squared_correlation(self):
    scores = disentanglement.sap(self.latents, self.factors, continuous_factors=True)
    self.assertAlmostEqual(scores['sap'], 1 / 3, delta=.03)

  def test_robustness(self):
    # Held a, (a + b) / sqrt(2) moves by (K-1)/2 / sqrt(2) to either side, of twice that in all.
    scores = disentanglement.irs(self.latents, self.factors, quantile=1.)
    weight = np.array([4 / 2 ** .5, 4 / 2 ** .5, 2.])
    self.assertAlmostEqual(scores['irs'], np.average([.5, .5, 1], weights=weight))


if __name__ == '__main__':
  absltest.main()
