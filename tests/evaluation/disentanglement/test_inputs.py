"""Tests of cvq.evaluation.disentanglement.inputs, and of how every metric refuses bad input."""

import functools
import subprocess
import sys
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import sparse
from sklearn import preprocessing

from cvq.errors import UserError
from cvq.evaluation import disentanglement
from cvq.evaluation.disentanglement import inputs
from tests.evaluation.disentanglement import samples

METRICS = {name: getattr(disentanglement, name) for name in (
    'beta_vae', 'dci', 'factor_vae', 'infomec', 'irs', 'mig', 'modularity_explicitness', 'sap')}
METRICS['bootstrap'] = functools.partial(disentanglement.bootstrap, disentanglement.mig)
EACH = parameterized.parameters(*METRICS)


def _with(array, column, value):
  array = array.copy()
  array[:, column] = value
  return array


class BadInputTest(parameterized.TestCase):

  def _refuses(self, metric, representation, factors, *words):
    with self.assertRaises(UserError) as caught:
      METRICS[metric](representation, factors)
    message = str(caught.exception)
    for word in words:
      self.assertIn(word, message)
    self.assertRegex(message, r'Give |Leave |leave ')                    # the remedy

  @EACH
  def test_shapes(self, metric):
    factors = samples.drawn(60)
    self._refuses(metric, factors[:50], factors, 'representation has 50 rows', 'factors has 60')
    self._refuses(metric, factors[:, 0], factors, 'representation', '(60,)')
    self._refuses(metric, factors, factors[None], 'factors', '(1, 60, 3)')
    self._refuses(metric, factors[:, :0], factors, 'representation', '(60, 0)')
    self._refuses(metric, factors[:0], factors[:0], 'representation', '(0, 3)')

  @EACH
  def test_dtypes(self, metric):
    factors = samples.drawn(60)
    self._refuses(metric, factors, factors.astype(float), 'factors is float64')
    self._refuses(metric, factors > 1, factors, 'representation is bool')
    self._refuses(metric, factors.astype(str), factors, 'representation is <U')
    self._refuses(metric, factors, factors > 1, 'factors is bool')

  @EACH
  def test_not_finite(self, metric):
    factors = samples.drawn(60)
    latents = factors.astype(np.float32)
    latents[7, 1] = np.nan
    self._refuses(metric, latents, factors, 'representation', 'in 1 of 3 columns', 'column 1')
    latents[7, 2] = np.inf
    self._refuses(metric, latents, factors, 'representation', 'in 2 of 3 columns', 'column 1')

  @EACH
  def test_factors_that_tell_nothing(self, metric):
    factors = samples.drawn(60)
    self._refuses(metric, factors, _with(factors, 1, 4), 'factors is constant in column 1')
    self._refuses(metric, factors, _with(factors, 2, np.arange(60)), 'factors has 60 values',
                  'column 2', '60 rows')
    self._refuses(metric, factors[:1], factors[:1], 'factors is constant')

  @EACH
  def test_a_column_alone(self, metric):
    factors = samples.drawn(60)
    if metric in ('dci', 'mig', 'sap', 'bootstrap'):
      self._refuses(metric, factors[:, :1], factors, 'representation has 1 column')
    if metric not in ('mig', 'sap', 'irs'):
      self._refuses(metric, factors, factors[:, :1], 'factors has 1 column')

  @parameterized.parameters('dci', 'mig', 'sap', 'infomec', 'irs', 'factor_vae', 'beta_vae')
  def test_a_factor_constant_in_the_rows_drawn(self, metric):
    factors = samples.drawn(3000)
    factors[:, 1] = 0
    factors[np.random.default_rng(0).permutation(3000)[-1], 1] = 1       # drawn last by seed 0
    sizes = ({'samples': 1000} if metric in ('mig', 'infomec', 'irs') else
             {'train': 1000, 'test': 500})
    with self.assertRaisesRegex(UserError, 'factors is constant in column 1 of the 1000'):
      METRICS[metric](factors, factors, **sizes)

  @parameterized.product(metric=tuple(METRICS), kind=(int, float))
  def test_constant_representation_warns(self, metric, kind):
    factors = samples.drawn(300)
    with self.assertWarnsRegex(UserWarning, 'representation is constant') as caught:
      scores = METRICS[metric](np.zeros((300, 2), kind), factors)
    self.assertEqual(caught.filename, __file__)
    chance = {'beta_vae': 1 / 3, 'explicitness': .5, 'informativeness': .3}
    for key, value in scores.items():
      if metric == 'modularity_explicitness' and key != 'modularity':
        self.assertAlmostEqual(value, .5)
      elif key.startswith(('beta_vae', 'informativeness')):
        self.assertAlmostEqual(value, chance[key.removesuffix('_train')], delta=.1)
      else:
        np.testing.assert_allclose(value, 0, atol=1e-6, err_msg=key)

  def test_other_input_gives_no_warning(self):
    factors = samples.drawn(900)
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      for name, metric in METRICS.items():
        if name not in ('dci', 'beta_vae', 'bootstrap'):
          metric(samples.relabelled(factors), factors)
          metric(factors.astype(np.float32), factors)

  def test_arguments(self):
    factors = samples.drawn(60)
    with self.assertRaisesRegex(UserError, "predictor is 'forest'.*trees, logistic"):
      disentanglement.dci(factors, factors, predictor='forest')
    with self.assertRaisesRegex(UserError, 'metric is sap.*mig, modularity_explicitness, infomec'):
      disentanglement.bootstrap(disentanglement.sap, factors, factors)
    with self.assertRaisesRegex(UserError, 'codes only'):
      disentanglement.bootstrap(disentanglement.infomec, factors.astype(float), factors)
    for wrong in ({'resamples': 1}, {'level': 1.}, {'level': 0.}):
      with self.assertRaisesRegex(UserError, 'resamples is .* level'):
        disentanglement.bootstrap(disentanglement.mig, factors, factors, **wrong)


class InputsTest(parameterized.TestCase):

  def test_cvq_alone_imports_no_sklearn(self):
    code = 'import cvq, cvq.evaluation, sys; sys.exit("sklearn" in sys.modules)'
    self.assertEqual(subprocess.run([sys.executable, '-c', code], check=False).returncode, 0)

  def test_split_is_disjoint_and_seeded(self):
    ids = np.arange(100)[:, None]
    values = ids % 5
    for train, test, sizes in ((50, 20, (50, 20)), (100, 50, (66, 34)), (1000, 1000, (50, 50))):
      (x, y), (x_test, y_test) = inputs.split(ids, values, train, test, 7)
      self.assertEqual((len(x), len(x_test)), sizes)
      self.assertEmpty(set(x.ravel()) & set(x_test.ravel()))
      np.testing.assert_array_equal(np.concatenate([y, y_test]), np.concatenate([x, x_test]) % 5)
      np.testing.assert_array_equal(inputs.split(ids, values, train, test, 7)[0][0], x)
      self.assertTrue((inputs.split(ids, values, train, test, 8)[0][0] != x).any())

  def test_subset(self):
    ids = np.arange(100)[:, None]
    x, y = inputs.subset(ids, ids % 5, 30, 0)
    self.assertLen(set(x.ravel()), 30)
    np.testing.assert_array_equal(y, x % 5)
    self.assertLen(inputs.subset(ids, ids % 5, 1000, 0)[0], 100)

  def test_bins_against_histogram(self):
    latents = np.random.default_rng(0).normal(size=(500, 3)) * (1, 100, 1e-3)
    bins = inputs.binned(latents, 20)
    for column, bin_ in zip(latents.T, bins.T):
      np.testing.assert_array_equal(np.bincount(bin_, minlength=20), np.histogram(column, 20)[0])
    codes = samples.drawn(50)
    self.assertIs(inputs.binned(codes, 2), codes)                        # never binned again
    np.testing.assert_array_equal(inputs.binned(np.ones((4, 1)), 20), inputs.binned(
        np.ones((4, 1)), 20)[0, 0])

  def test_features_against_sklearn(self):
    codes = inputs.renumbered(samples.relabelled(samples.drawn(200)))
    one_hot, column_of = inputs.features(codes)
    np.testing.assert_array_equal(
        one_hot.toarray(), preprocessing.OneHotEncoder().fit_transform(codes).toarray())
    np.testing.assert_array_equal(column_of, [0] * 4 + [1] * 5 + [2] * 3)

  def test_scaled(self):
    rng = np.random.default_rng(0)
    x, like = rng.normal(3, 5, (40, 4)), rng.normal(3, 5, (60, 4))
    x[:, 2], like[:, 2] = 7, 7
    spread = np.where(np.arange(4) == 2, 1, like.std(0))
    np.testing.assert_allclose(inputs.scaled(x, like), (x - like.mean(0)) / spread, atol=1e-12)
    got = inputs.scaled(sparse.csr_array(x), sparse.csr_array(like))
    np.testing.assert_allclose(got.toarray(), x / spread, rtol=1e-9)


if __name__ == '__main__':
  absltest.main()
