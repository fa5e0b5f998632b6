"""Action retrieval: which action turned x into y, judged from a posterior over actions."""

from __future__ import annotations

from typing import Sequence

import numpy as np

from cvq.errors import UserError

BINS = 15


def score_retrieval(
    probabilities: np.ndarray,
    actions: np.ndarray,
    action_names: Sequence[str],
    *,
    visible: np.ndarray | None = None,
) -> dict:
  """Accuracies of a posterior over A = 2F actions, with the baselines that belong beside them.

  Ties share their credit: where m actions are equally probable, a true one among them counts
  1/m, the expected accuracy of a random choice. So a uniform posterior scores exactly chance,
  and no figure depends on the order of the actions.

  Args:
    probabilities: [n, A] posterior p(a | x, y); action f is factor f by +1, F + f by -1.
    actions: [n] int, the true actions.
    action_names: A names, 'shape+1' style; a factor is called as its +1 action without the sign.
    visible: [n] bool, whether x and y differ in any pixel; None if that is not known.

  Returns:
    Python floats, ints and dicts, ready for JSON; None where no pair tells:
    `directed`: share of pairs whose most probable action is the true one (A classes);
    `directed_top2`: share whose true action is among the two most probable;
    `factor`: the same as `directed` for the factor, by the posterior summed over both directions
    (F classes);
    `per_action`: `directed` among the pairs of each action;
    `per_factor`: `factor` among the pairs of each factor;
    `chance`, `chance_factor`: 1/A and 1/F; also what a model reaches that always copies x, since
    y is then equally probable under every action;
    `majority_directed`, `majority_factor`: share of the most frequent action and factor;
    `expected_calibration_error`: of the most probable action, see there;
    `pairs`, `invisible_pairs`: how many; `directed_visible`, `factor_visible`: accuracies on
    the visible pairs alone.

  Raises:
    UserError: no pairs, an action out of range, a posterior that is not finite.
    ValueError: shapes that do not belong together.
  """
  probabilities = np.asarray(probabilities, np.float64)
  actions = np.asarray(actions)
  num_actions = len(action_names)
  _check(probabilities, actions, num_actions, visible)
  num_factors = num_actions // 2
  factor_names = [name.removesuffix('+1') for name in action_names[:num_factors]]
  factors = actions % num_factors
  of_factors = probabilities.reshape(-1, 2, num_factors).sum(1)               # [n, F]
  directed = credit(probabilities, actions)                                   # [n]
  factor = credit(of_factors, factors)                                        # [n]
  seen = None if visible is None else np.asarray(visible, bool)
  return {
      'directed': float(directed.mean()),
      'directed_top2': float(credit(probabilities, actions, among=2).mean()),
      'factor': float(factor.mean()),
      'per_factor': _by_class(factor, factors, factor_names),
      'per_action': _by_class(directed, actions, action_names),
      'chance': 1 / num_actions,
      'chance_factor': 1 / num_factors,
      'majority_directed': float(np.bincount(actions).max() / actions.size),
      'majority_factor': float(np.bincount(factors).max() / factors.size),
      'expected_calibration_error': expected_calibration_error(
          probabilities.max(-1), directed),
      'pairs': int(actions.size),
      'invisible_pairs': None if seen is None else int((~seen).sum()),
      'directed_visible': None if seen is None else _mean(directed[seen]),
      'factor_visible': None if seen is None else _mean(factor[seen]),
  }


def natural_majority(counts: np.ndarray) -> dict:
  """Shares of the most frequent action and factor among all transitions, as the data has them.

  A factor with more values has more transitions: a judge that only knows this, and always names
  the most frequent one, is right that often where actions are not levelled.

  Args:
    counts: [A] transitions of each action; action f is factor f by +1, F + f by -1.

  Returns:
    {'natural_majority_directed', 'natural_majority_factor'}.
  """
  counts = np.asarray(counts, np.float64)
  return {'natural_majority_directed': float(counts.max() / counts.sum()),
          'natural_majority_factor': float(counts.reshape(2, -1).sum(0).max() / counts.sum())}


def credit(scores: np.ndarray, labels: np.ndarray, *, among: int = 1) -> np.ndarray:
  """Expected accuracy [n] of the highest scores, ties broken at random.

  Args:
    scores: [n, classes]. labels: [n] int. among: how many of the highest count.

  Returns:
    [n] float64: the probability that the label is among them: k/m, at most 1, where it is one of
    m equal ones and higher ones leave k places, 0 where they leave none.
  """
  own = np.take_along_axis(scores, labels[:, None], axis=-1)
  places = among - (scores > own).sum(-1)
  return np.clip(places / (scores == own).sum(-1), 0, 1)


def expected_calibration_error(
    confidence: np.ndarray, correct: np.ndarray, *, bins: int = BINS) -> float:
  """Mean distance between confidence and accuracy (Guo et al. 2017, equation 3).

  Args:
    confidence: [n] in [0, 1], probability of the class that was chosen.
    correct: [n] in [0, 1], whether (or how far) the choice was right.
    bins: equal in width over [0, 1], open below, closed above.

  Returns:
    sum over bins of (share of pairs in the bin) x |mean correct - mean confidence|, in [0, 1].
  """
  table = reliability(confidence, correct, bins=bins)
  gaps = table['pairs'] * np.abs(table['accuracy'] - table['confidence'])
  return float(np.nansum(gaps) / table['pairs'].sum())


def reliability(confidence: np.ndarray, correct: np.ndarray, *, bins: int = BINS
                ) -> dict[str, np.ndarray]:
  """The curve of a reliability diagram; arguments as in `expected_calibration_error`.

  Returns:
    [bins] each: `pairs` int, and of them the means `confidence` and `accuracy`, NaN in a bin
    without pairs.
  """
  confidence, correct = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
  index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
  pairs = np.bincount(index, minlength=bins)
  mean = lambda values: np.where(
      pairs > 0, np.bincount(index, values, bins) / np.maximum(pairs, 1), np.nan)
  return {'pairs': pairs, 'confidence': mean(confidence), 'accuracy': mean(correct)}


def confusion(probabilities: np.ndarray, actions: np.ndarray) -> np.ndarray:
  """How often each true action is taken for each other one: row = true, column = retrieved.

  Ties are shared as in `score_retrieval`, so the diagonal is its `per_action`.

  Args:
    probabilities: [n, A] posterior. actions: [n] int.

  Returns:
    [A, A] float64; a row sums to 1, or to 0 for an action without pairs.
  """
  best = probabilities == probabilities.max(-1, keepdims=True)
  share = best / best.sum(-1, keepdims=True)                                  # [n, A]
  table = np.zeros((probabilities.shape[1],) * 2)
  np.add.at(table, actions, share)
  return table / np.maximum(table.sum(-1, keepdims=True), 1)


def _by_class(scores: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict:
  return {name: _mean(scores[labels == label]) for label, name in enumerate(names)}


def _mean(scores: np.ndarray) -> float | None:
  return float(scores.mean()) if scores.size else None


def _check(probabilities: np.ndarray, actions: np.ndarray, num_actions: int,
           visible: np.ndarray | None) -> None:
  if num_actions == 0 or num_actions % 2:
    raise ValueError(f'{num_actions} action names; two (+1 and -1) are needed for each factor.')
  if actions.ndim != 1 or not np.issubdtype(actions.dtype, np.integer):
    raise ValueError(f'actions must be [n] int, not {actions.shape} {actions.dtype}.')
  if probabilities.shape != (actions.size, num_actions):
    raise ValueError(f'probabilities are {probabilities.shape} for {actions.size} actions and '
                     f'{num_actions} action names.')
  if visible is not None and np.shape(visible) != actions.shape:
    raise ValueError(f'visible is {np.shape(visible)} for {actions.size} actions.')
  if not actions.size:
    raise UserError('There is no transition to score: give at least one pair.')
  outside = actions[(actions < 0) | (actions >= num_actions)]
  if outside.size:
    raise UserError(f'Action {outside[0]} is out of range; there are {num_actions}: '
                    f'0 to {num_actions - 1}.')
  broken = ~np.isfinite(probabilities).all(-1)
  if broken.any():
    raise UserError(
        f'The posterior of {broken.sum()} of {broken.size} transitions is not finite: the model '
        f'has diverged.\nEvaluate an earlier checkpoint, or train with a lower learning rate.')
