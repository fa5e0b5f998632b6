"""The unit tests of disentanglement_lib: its dummy data, representations and thresholds.

Ten factors with ten values each; five for DCI, whose trees take a second per factor otherwise.
The representations are floats there, and the thresholds are those of its tests.
"""

import math
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import pytest

from cvq.evaluation import disentanglement as d
from cvq.evaluation.disentanglement import information, modularity_score


def _data(n, kind, factors=10):
  rng = np.random.default_rng(0)
  y = rng.integers(1, 11, size=(n, factors))
  z = {'identity': lambda: y, 'zero': lambda: np.zeros_like(y),
       'shuffled rows': lambda: rng.permuted(y, axis=1),
       'duplicated': lambda: np.hstack([y, y])}[kind]()
  return z.astype(float), y


class PublishedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(warnings.catch_warnings())
    warnings.filterwarnings('ignore', 'representation is constant')

  def _between(self, scores, low, high, *keys):
    for key in keys:
      self.assertBetween(scores[key], low, high, msg=key)

  @parameterized.parameters(('identity', .9, 1), ('zero', 0, .2), ('duplicated', 0, .1))
  def test_mig(self, kind, low, high):
    self._between(d.mig(*_data(3000, kind)), low, high, 'mig')

  @parameterized.parameters(('identity', .9, 1), ('zero', 0, .2), ('duplicated', 0, .2))
  def test_sap(self, kind, low, high):
    scores = d.sap(*_data(6000, kind), train=3000, test=3000, continuous_factors=True)
    self._between(scores, low, high, 'sap')

  @parameterized.parameters(('identity', .9, 1), ('zero', 0, .1))
  def test_irs(self, kind, low, high):
    self._between(d.irs(*_data(3000, kind)), low, high, 'irs')

  @parameterized.parameters(('identity', .9, 1), ('zero', 0, .2))
  def test_factor_vae(self, kind, low, high):
    scores = d.factor_vae(*_data(5000, kind), batch=5, train=3000, test=2000)
    self._between(scores, low, high, 'factor_vae', 'factor_vae_train')

  def test_beta_vae(self):
    scores = d.beta_vae(*_data(4000, 'identity'), batch=5, train=2000, test=2000)
    self._between(scores, .9, 1, 'beta_vae', 'beta_vae_train')

  @parameterized.parameters('identity', 'duplicated')
  def test_modularity(self, kind):
    scores = d.modularity_explicitness(*_data(6000, kind), train=3000, test=3000)
    self._between(scores, .9, 1, 'modularity')

  def test_modularity_of_shuffled_rows(self):
    z, y = _data(20_000, 'shuffled rows')
    table = information.mutual_information(z.astype(int), y)
    self._between(modularity_score.modularity_of(table), 0, .2, 'modularity')

  @parameterized.parameters(
      ('identity', .9, 1, .9, 1), ('shuffled rows', 0, .2, 0, .2),
      ('duplicated', .9, 1, 1 - math.log(2) / math.log(10) - .1,
       1 - math.log(2) / math.log(10) + .1))
  @pytest.mark.slow
  def test_dci(self, kind, low, high, low_complete, high_complete):
    scores = d.dci(*_data(2000, kind, factors=5), train=1000, test=1000)
    self._between(scores, low, high, 'disentanglement')
    self._between(scores, low_complete, high_complete, 'completeness')


if __name__ == '__main__':
  absltest.main()
