"""Tests of cvq.evaluation.retrieval against known answers, scikit-learn and brute force."""

import json

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from sklearn import metrics

from cvq.errors import UserError
from cvq.evaluation import retrieval

NAMES = ('shape+1', 'scale+1', 'posX+1', 'shape-1', 'scale-1', 'posX-1')


def _random(n=500, a=6, seed=0):
  rng = np.random.default_rng(seed)
  return rng.dirichlet(np.ones(a), size=n), rng.integers(a, size=n)


class ScoreRetrievalTest(parameterized.TestCase):

  def test_perfect(self):
    _, actions = _random()
    score = retrieval.score_retrieval(np.eye(6)[actions], actions, NAMES)
    self.assertEqual((score['directed'], score['factor']), (1, 1))
    self.assertEqual(score['expected_calibration_error'], 0)
    self.assertEqual(score['per_factor'], dict(shape=1, scale=1, posX=1))
    self.assertEqual(score['per_action'], {name: 1 for name in NAMES})

  def test_uniform_posterior_scores_chance_on_any_labels(self):
    actions = np.array([0, 0, 0, 4, 4, 5, 2])
    score = retrieval.score_retrieval(np.full((7, 6), 1 / 6), actions, NAMES)
    self.assertAlmostEqual(score['directed'], 1 / 6)
    self.assertAlmostEqual(score['factor'], 1 / 3)
    self.assertAlmostEqual(score['directed_top2'], 2 / 6)
    self.assertAlmostEqual(score['chance'], 1 / 6)
    self.assertAlmostEqual(score['chance_factor'], 1 / 3)
    self.assertAlmostEqual(score['expected_calibration_error'], 0)

  def test_constant_predictor_scores_the_share_of_its_class(self):
    actions = np.array([0, 0, 0, 3, 4, 4, 5, 2])              # by hand: 3 of 8, shape 4 of 8
    score = retrieval.score_retrieval(np.eye(6)[np.zeros(8, int)], actions, NAMES)
    self.assertEqual(score['directed'], 3 / 8)
    self.assertEqual(score['factor'], 4 / 8)
    self.assertEqual(score['majority_directed'], 3 / 8)
    self.assertEqual(score['majority_factor'], 4 / 8)
    self.assertEqual(score['per_factor'], dict(shape=1, scale=0, posX=0))
    self.assertEqual(score['per_action'],
                     {'shape+1': 1, 'scale+1': None, 'posX+1': 0, 'shape-1': 0, 'scale-1': 0,
                      'posX-1': 0})
    self.assertEqual(score['expected_calibration_error'], 5 / 8)

  def test_wrong_direction_is_the_right_factor(self):
    _, actions = _random()
    score = retrieval.score_retrieval(np.eye(6)[(actions + 3) % 6], actions, NAMES)
    self.assertEqual((score['directed'], score['factor']), (0, 1))

  def test_factor_is_read_from_the_summed_posterior(self):
    # The likeliest action is scale+1, the likeliest factor is shape: .3 + .25 > .4.
    posterior = np.array([[.3, .4, .02, .25, .01, .02]])
    score = retrieval.score_retrieval(posterior, np.array([0]), NAMES)
    self.assertEqual((score['directed'], score['factor']), (0, 1))

  def test_against_sklearn(self):
    posterior, actions = _random()
    score = retrieval.score_retrieval(posterior, actions, NAMES)
    chosen = posterior.argmax(-1)
    self.assertAlmostEqual(score['directed'], metrics.accuracy_score(actions, chosen))
    self.assertAlmostEqual(
        score['directed_top2'], metrics.top_k_accuracy_score(actions, posterior, k=2))
    recall = metrics.recall_score(actions, chosen, average=None)
    np.testing.assert_allclose(list(score['per_action'].values()), recall)
    factor = (posterior[:, :3] + posterior[:, 3:]).argmax(-1)
    self.assertAlmostEqual(score['factor'], metrics.accuracy_score(actions % 3, factor))
    recall = metrics.recall_score(actions % 3, factor, average=None)
    np.testing.assert_allclose(list(score['per_factor'].values()), recall)

  def test_parts_average_to_the_whole(self):
    posterior, actions = _random()
    score = retrieval.score_retrieval(posterior, actions, NAMES)
    weights = np.bincount(actions, minlength=6)
    self.assertAlmostEqual(
        np.average(list(score['per_action'].values()), weights=weights), score['directed'])
    self.assertAlmostEqual(
        np.average(list(score['per_factor'].values()), weights=weights[:3] + weights[3:]),
        score['factor'])

  @parameterized.parameters('pairs', 'factors', 'directions')
  def test_order_does_not_matter(self, what):
    posterior, actions = _random()
    posterior[:50] = 1 / 6                                     # ties as well
    expected = retrieval.score_retrieval(posterior, actions, NAMES)
    rng = np.random.default_rng(1)
    if what == 'pairs':
      order = rng.permutation(len(actions))
      actual = retrieval.score_retrieval(posterior[order], actions[order], NAMES)
    else:
      order = np.array([2, 0, 1, 5, 3, 4]) if what == 'factors' else np.array([3, 4, 5, 0, 1, 2])
      names = [NAMES[i] for i in order] if what == 'factors' else NAMES
      actual = retrieval.score_retrieval(posterior[:, order], np.argsort(order)[actions], names)
    if what == 'directions':
      expected.pop('per_action'), actual.pop('per_action')
    self.assertEqual(set(expected), set(actual))
    for name, value in expected.items():
      if isinstance(value, dict):
        self.assertEqual(set(value), set(actual[name]))
        for key in value:
          self.assertAlmostEqual(value[key], actual[name][key])
      elif value is not None:
        self.assertAlmostEqual(value, actual[name])

  def test_only_the_order_of_scores_decides(self):
    posterior, actions = _random()
    sharp = posterior ** 3 / (posterior ** 3).sum(-1, keepdims=True)
    self.assertEqual(retrieval.score_retrieval(posterior, actions, NAMES)['directed'],
                     retrieval.score_retrieval(sharp, actions, NAMES)['directed'])

  def test_invisible_pairs_are_counted_and_left_out(self):
    actions = np.array([0, 1, 2, 3])
    posterior = np.eye(6)[[0, 1, 5, 4]]                        # right, right, factor, wrong
    score = retrieval.score_retrieval(
        posterior, actions, NAMES, visible=np.array([True, False, True, True]))
    self.assertEqual(score['invisible_pairs'], 1)
    self.assertEqual(score['directed'], 2 / 4)
    self.assertEqual(score['directed_visible'], 1 / 3)
    self.assertEqual(score['factor_visible'], 2 / 3)
    self.assertIsNone(retrieval.score_retrieval(
        posterior, actions, NAMES, visible=np.zeros(4, bool))['directed_visible'])
    self.assertIsNone(retrieval.score_retrieval(posterior, actions, NAMES)['invisible_pairs'])

  def test_is_json(self):
    posterior, actions = _random(n=3)
    score = retrieval.score_retrieval(
        posterior.astype(np.float32), actions.astype(np.int32), NAMES, visible=np.ones(3, bool))
    self.assertEqual(json.loads(json.dumps(score, allow_nan=False)), score)

  @parameterized.parameters(-1, 6)
  def test_action_out_of_range(self, action):
    with self.assertRaisesRegex(UserError, f'Action {action} is out of range'):
      retrieval.score_retrieval(np.full((2, 6), 1 / 6), np.array([0, action]), NAMES)

  def test_refuses_nothing_and_nan(self):
    with self.assertRaisesRegex(UserError, 'at least one pair'):
      retrieval.score_retrieval(np.zeros((0, 6)), np.zeros(0, int), NAMES)
    posterior, actions = _random(n=4)
    posterior[2, 1] = np.nan
    with self.assertRaisesRegex(UserError, '1 of 4 transitions is not finite'):
      retrieval.score_retrieval(posterior, actions, NAMES)

  @parameterized.parameters(
      dict(posterior=(4, 5)), dict(posterior=(3, 6)), dict(names=NAMES[:5]), dict(names=()),
      dict(actions=np.zeros((4, 1), int)), dict(actions=np.zeros(4)),
      dict(visible=np.ones(3, bool)))
  def test_refuses_shapes(self, posterior=(4, 6), actions=np.zeros(4, int), names=NAMES,
                          visible=None):
    with self.assertRaises(ValueError):
      retrieval.score_retrieval(np.full(posterior, .1), actions, names, visible=visible)


class CalibrationTest(parameterized.TestCase):

  @parameterized.parameters(.5, .8, .95)
  def test_of_a_known_miscalibration(self, accuracy):
    # Always .95 sure, right in `accuracy` of the cases.
    correct = np.arange(1000) < accuracy * 1000
    error = retrieval.expected_calibration_error(np.full(1000, .95), correct)
    self.assertAlmostEqual(error, .95 - accuracy)

  def test_of_outcomes_drawn_from_the_posterior_vanishes(self):
    rng = np.random.default_rng(0)
    posterior = rng.dirichlet(np.full(6, .5), size=50_000)
    actions = (posterior.cumsum(-1) < rng.random((50_000, 1))).sum(-1).clip(max=5)
    score = retrieval.score_retrieval(posterior, actions, NAMES)
    self.assertLess(score['expected_calibration_error'], .01)

  def test_opposite_errors_in_one_bin_cancel_but_not_across_bins(self):
    error = retrieval.expected_calibration_error(np.array([.5, .5]), np.array([0., 1.]))
    self.assertAlmostEqual(error, 0)
    error = retrieval.expected_calibration_error(np.array([.2, .8]), np.array([1., 0.]))
    self.assertAlmostEqual(error, .8)

  def test_against_brute_force(self):
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(400), rng.random(400) < .6
    confidence[:3] = 0, 1, 1 / 3
    expected = 0
    for b in range(15):
      inside = (confidence > b / 15) & (confidence <= (b + 1) / 15) | (b == 0) & (confidence == 0)
      if inside.any():
        expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    self.assertAlmostEqual(retrieval.expected_calibration_error(confidence, correct), expected)

  def test_natural_majority_is_right_as_often_as_a_judge_that_always_names_it(self):
    counts = np.array([30, 10, 5, 30, 25, 0])                    # shape, scale, posX; +1 then -1
    actions = np.repeat(np.arange(6), counts)
    score = retrieval.natural_majority(counts)
    self.assertAlmostEqual(score['natural_majority_directed'], (actions == 0).mean())
    self.assertAlmostEqual(score['natural_majority_factor'], (actions % 3 == 0).mean())

  def test_reliability_says_what_each_bin_holds(self):
    rng = np.random.default_rng(1)
    confidence, correct = rng.random(300) ** .3, rng.random(300) < .7
    table = retrieval.reliability(confidence, correct, bins=10)
    self.assertEqual(table['pairs'].sum(), 300)
    for b in range(10):
      inside = (confidence > b / 10) & (confidence <= (b + 1) / 10)
      self.assertEqual(table['pairs'][b], inside.sum())
      for name, values in (('confidence', confidence), ('accuracy', correct)):
        if inside.any():
          self.assertAlmostEqual(table[name][b], values[inside].mean())
        else:
          self.assertTrue(np.isnan(table[name][b]))


class ConfusionTest(absltest.TestCase):

  def test_against_scikit_learn(self):
    posterior, actions = _random()
    np.testing.assert_allclose(
        retrieval.confusion(posterior, actions),
        metrics.confusion_matrix(actions, posterior.argmax(-1), normalize='true'))

  def test_ties_are_shared_and_the_diagonal_is_the_accuracy_of_each_action(self):
    posterior, actions = _random()
    posterior = np.round(posterior, 1)
    table = retrieval.confusion(posterior, actions)
    np.testing.assert_allclose(table.sum(-1), 1)
    score = retrieval.score_retrieval(posterior, actions, NAMES)
    np.testing.assert_allclose(table.diagonal(), list(score['per_action'].values()))

  def test_an_action_without_pairs(self):
    table = retrieval.confusion(np.array([[.1, .9], [.8, .2]]), np.array([1, 1]))
    np.testing.assert_allclose(table, [[0, 0], [.5, .5]])


if __name__ == '__main__':
  absltest.main()
