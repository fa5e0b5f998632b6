"""Tests of cvq.evaluation.disentanglement.dci_score: tables by hand, importance, categories."""

import math
import os
import subprocess
import sys
import warnings

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import stats
from sklearn.ensemble import GradientBoostingClassifier

from cvq.evaluation.disentanglement import dci, dci_score
from tests.evaluation.disentanglement import samples


class TableTest(parameterized.TestCase):
  """Tables that disentanglement_lib tests with the same answers, and some by hand."""

  @parameterized.named_parameters(
      ('diagonal', np.diag([5.] * 5), 1, 1),
      ('empty code', np.array([[1., 0], [0, 1], [0, 0]]), 1, 1),
      ('zero', np.zeros((10, 10)), 0, 0),
      ('redundant codes', np.vstack([np.diag([5.] * 5)] * 2), 1, 1 - math.log(2) / math.log(10)),
      ('missed factors', np.diag([5.] * 5)[:2], 1, 1),
      ('a code for two factors', np.hstack([np.diag([5.] * 5)] * 2),
       1 - math.log(2) / math.log(10), 1),
      ('weighted', np.array([[3., 0], [1, 1]]), 3 / 5, 4 / 5 * (
          1 - stats.entropy([3, 1], base=2)) + 1 / 5))
  def test_table(self, table, disentanglement, completeness):
    self.assertAlmostEqual(dci_score.disentanglement(table), disentanglement, places=6)
    self.assertAlmostEqual(dci_score.disentanglement(table.T), completeness, places=6)


class DciTest(parameterized.TestCase):

  def test_threads_of_the_trees_do_not_spin(self):
    code = 'from cvq.evaluation import disentanglement'
    environment = {k: v for k, v in os.environ.items() if not k.startswith('OMP_')}
    said = subprocess.run([sys.executable, '-c', code], check=True, text=True, capture_output=True,
                          env=environment | {'OMP_DISPLAY_ENV': 'true'}).stderr
    self.assertIn("OMP_WAIT_POLICY = 'PASSIVE'", said)

  def test_importance_against_the_study_s_trees(self):
    factors = samples.drawn(1200, (3, 3, 2))
    latents = np.column_stack([factors[:, 0] + factors[:, 1], factors[:, 1], factors[:, 2]])
    latents = latents + np.random.default_rng(0).normal(0, .3, latents.shape)
    for f, y in enumerate(factors.T):
      expected = GradientBoostingClassifier(random_state=0).fit(
          latents[:800], y[:800]).feature_importances_
      got, seen, unseen = dci_score.PREDICTORS['trees'](latents[:800], y[:800], latents[800:], 0)
      np.testing.assert_allclose(got, expected, atol=.06, err_msg=str(f))
      self.assertEqual((seen.shape, unseen.shape), ((800,), (400,)))

  @parameterized.parameters('trees', 'logistic')
  def test_importance_by_hand(self, predictor):
    # The factor is a column of the representation, in one block of its own.
    x, y = samples.drawn(600, (4, 6, 5)), samples.drawn(600, (4, 6, 5))[:, 1]
    importance, seen, unseen = dci_score.PREDICTORS[predictor](x[:400], y[:400], x[400:], 0)
    np.testing.assert_allclose(importance, [0, 1, 0], atol=.02)
    np.testing.assert_array_equal(np.concatenate([seen, unseen]), y)

  @parameterized.parameters('trees', 'logistic')
  def test_copies_share(self, predictor):
    # Of two bits that make up the factor, one is there twice: as it is and under other ids.
    bits = samples.drawn(600, (2, 2))
    x, y = np.column_stack([bits, 1 - bits[:, 0]]), bits @ [2, 1]
    importance, _, _ = dci_score.PREDICTORS[predictor](x[:400], y[:400], x[400:], 0)
    self.assertAlmostEqual(importance[0], importance[2], places=6)
    np.testing.assert_allclose(importance, [1 / 4, 1 / 2, 1 / 4], atol=.05)

  @parameterized.parameters('trees', 'logistic')
  def test_ids_have_no_order(self, predictor):
    # Parity is all that counts: no threshold on an id finds it, a set of ids does.
    codes = samples.drawn(900, (16, 16, 4))
    factors = np.column_stack([codes[:, 0] % 2, codes[:, 1] % 2])
    scores = dci(codes, factors, predictor=predictor)
    for value in scores.values():
      self.assertAlmostEqual(value, 1, delta=.02)

  def test_informativeness_is_accuracy(self):
    # Three in ten codes are redrawn, a quarter of them to the same: accuracy .7 + .3 / 4.
    factors = samples.drawn(6000, (4, 4))
    rng = np.random.default_rng(1)
    codes = np.where(rng.random(factors.shape) < .7, factors, rng.integers(4, size=(6000, 2)))
    scores = dci(codes, factors)
    self.assertAlmostEqual(scores['informativeness'], .775, delta=.03)
    self.assertAlmostEqual(scores['informativeness_train'], .775, delta=.03)

  def test_categories(self):
    x = np.array([[5, 1], [5, 0], [2, 0], [7, 0], [2, 1], [5, 1]])
    seen, unseen = dci_score._categories(x, np.array([[2, 0], [9, 1]]))
    np.testing.assert_array_equal(seen[:, 0], [0, 0, 1, 2, 1, 0])
    np.testing.assert_array_equal(seen[:, 1], [0, 1, 1, 1, 0, 0])            # a tie: by place
    np.testing.assert_array_equal(unseen, [[1, 1], [dci_score.MAX_CATEGORIES - 1, 0]])

  def test_more_codes_than_histograms_have_bins(self):
    factors = samples.drawn(9000, (3, 3))
    codes = factors + 3 * np.random.default_rng(0).integers(100, size=factors.shape)
    self.assertGreater(len(np.unique(codes[:, 0])), dci_score.MAX_CATEGORIES)
    scores = dci(codes, factors)
    # What the codes told together leave open is fitted to the noise of the other column.
    self.assertGreater(scores['disentanglement'], .7)
    # 254 of 300 codes are told apart; a third of the others is right by chance.
    self.assertAlmostEqual(scores['informativeness'], (254 + 46 / 3) / 300, delta=.05)

  def test_warns_of_rare_codes(self):
    factors = samples.drawn(600, (3, 3))
    codes = factors + 3 * np.random.default_rng(0).integers((1, 60), size=factors.shape)
    with self.assertWarnsRegex(UserWarning, 'column 1 .* fewer than 10') as caught:
      dci(codes, factors)
    self.assertEqual(caught.filename, __file__)
    with warnings.catch_warnings():
      warnings.simplefilter('error')
      dci(factors, factors)
      dci(codes, factors, predictor='logistic')


if __name__ == '__main__':
  absltest.main()
