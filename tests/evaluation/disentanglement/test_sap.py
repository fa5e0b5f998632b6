"""Tests of cvq.evaluation.disentanglement.sap_score against plain classifiers and regressions."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import linear_model
from sklearn import svm

from cvq.evaluation.disentanglement import inputs, sap, sap_score
from tests.evaluation.disentanglement import samples


def _noisy(n=600, size=5, seed=0):
  rng = np.random.default_rng(seed)
  y = rng.integers(size, size=n)
  return np.where(rng.random(n) < .6, y, rng.integers(size, size=n)), y


class SapTest(parameterized.TestCase):

  def test_codes_against_the_svm_on_every_row(self):
    x, y = _noisy()
    y[y == 4] = np.where(np.random.default_rng(1).random((y == 4).sum()) < .7, 0, 4)  # unbalanced
    machine = svm.LinearSVC(C=.01, class_weight='balanced', dual=False)
    one_hot = np.eye(5)[x]
    machine.fit(one_hot[:400], y[:400])
    expected = (machine.predict(one_hot[400:]) == y[400:]).mean()
    self.assertEqual(sap_score.accuracy(x[:400], y[:400], x[400:], y[400:]), expected)

  def test_latents_against_the_svm_by_dual_descent(self):
    x, y = _noisy(size=3)
    latent = x + np.random.default_rng(1).normal(0, .2, x.shape)
    machine = svm.LinearSVC(C=.01, class_weight='balanced', dual=True, max_iter=100_000)
    machine.fit(latent[:400, None], y[:400])
    expected = (machine.predict(latent[400:, None]) == y[400:]).mean()
    self.assertAlmostEqual(
        sap_score.accuracy(latent[:400], y[:400], latent[400:], y[400:]), expected, delta=.01)

  def test_codes_against_a_table(self):
    # With equally frequent values the best guess for a code is its commonest value.
    x, y = _noisy(6000)
    counts = np.zeros((5, 5))
    np.add.at(counts, (x[:4000], y[:4000]), 1)
    expected = (counts.argmax(-1)[x[4000:]] == y[4000:]).mean()
    self.assertAlmostEqual(
        sap_score.accuracy(x[:4000], y[:4000], x[4000:], y[4000:]), expected, delta=.01)
    self.assertAlmostEqual(expected, .6 + .4 / 5, delta=.03)

  def test_code_unseen_in_training(self):
    x, y = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    self.assertEqual(sap_score.accuracy(x, y, np.array([0, 1, 5]), np.array([0, 1, 1])) * 3 // 2, 1)

  def test_middle_values_of_a_latent_are_lost(self):
    y = samples.drawn(3000, (5,))[:, 0]
    found = sap_score.accuracy(y.astype(float), y, y.astype(float), y)
    self.assertBetween(found, 2 / 5 - .03, 3 / 5 + .03)

  def test_explained_against_regression(self):
    x, y = _noisy()
    for features, column in ((np.eye(5)[x], x), (x[:, None].astype(float), x.astype(float))):
      expected = linear_model.LinearRegression().fit(features, y).score(features, y)
      self.assertAlmostEqual(sap_score.explained(column, y), expected)
    self.assertEqual(sap_score.explained(np.zeros(600), y), 0)
    self.assertEqual(sap_score.explained(np.zeros(600, int), y), 0)

  @parameterized.parameters(False, True)
  def test_mean_gap(self, continuous):
    rng = np.random.default_rng(0)
    factors = samples.drawn(900)
    codes = np.where(rng.random((900, 6)) < .6, np.tile(factors, 2), rng.integers(
        3, size=(900, 6)))
    (x, y), (x_test, y_test) = inputs.split(codes, inputs.renumbered(factors), 600, 300, 4)
    gaps = []
    for f in range(3):
      told = sorted(
          sap_score.explained(x[:, v], y[:, f]) if continuous else
          sap_score.accuracy(x[:, v], y[:, f], x_test[:, v], y_test[:, f]) for v in range(6))
      gaps.append(told[-1] - told[-2])
    got = sap(codes, factors, train=600, test=300, seed=4, continuous_factors=continuous)['sap']
    self.assertAlmostEqual(got, np.mean(gaps), delta=1e-9)


if __name__ == '__main__':
  absltest.main()
