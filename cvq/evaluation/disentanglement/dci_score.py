"""Disentanglement, completeness and informativeness."""

from __future__ import annotations

from typing import Callable
import warnings

import numpy as np
from scipy import stats
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from cvq.errors import UserError
from cvq.evaluation.disentanglement import inputs

MAX_CATEGORIES = 255            # of scikit-learn's histograms
MIN_ROWS = 10                   # of a category that its trees can split off
RARE = .1                       # share of a column's rows in rarer ones that earns a warning
EMPTY = 1e-11                   # keeps the entropy of a row without importance defined


def dci(representation: np.ndarray, factors: np.ndarray, *, seed: int = 0,
        train: int = inputs.TRAIN, test: int = inputs.TEST,
        predictor: str = 'trees') -> dict[str, float]:
  """Disentanglement, completeness, informativeness (Eastwood & Williams 2018, section 2).

  A classifier per factor says how important each column is to it, a [V, F] table. A column's
  disentanglement is 1 - H(its row) / log F, a factor's completeness 1 - H(its column) / log V;
  both are averaged with the importance as weight. Informativeness is the accuracy on test rows,
  as in Locatello et al. 2019 (the first paper gives an error instead). Columns without
  information have small random importances: there, disentanglement and completeness are near 0
  but not at 0, and informativeness is at the share of the commonest value.

  Predictors:
    'trees': 100 rounds of gradient boosting, depth 3, rate 0.1, as in the study; importance is
      the loss that a column's splits gained. On histograms of 255 bins, which is what makes 40
      classes affordable, and with codes as categories: a split sends any set of codes to one
      side. scikit-learn makes no use of codes with fewer than 10 rows; there is a warning where a
      column has many. Of a column with more than 255 codes, the rarest count as one.
    'logistic': multinomial regression with an L1 penalty, importance |weight| summed over the
      classes and over a column's one-hot block. Features have unit variance, so that the summed
      slope of one without information has a standard deviation of at most sqrt(n) / 2; the
      penalty is sqrt(n) / 10. A stronger one leaves a representation without information so few
      weights that it looks disentangled. At most 100 passes over the rows. Eastwood & Williams
      tune a lasso.

  Args:
    representation: [n, V] int codes or [n, D] floating latents, at least two columns.
    factors: [n, F] int, at least two columns.
    seed: of the split into training and test rows.
    train, test: rows for either; all rows in that proportion if there are fewer.
    predictor: 'trees' or 'logistic'.

  Returns:
    `disentanglement`, `completeness`, `informativeness`, `informativeness_train`, in [0, 1].

  Raises:
    UserError: see `inputs.checked`; another predictor.
  """
  if predictor not in PREDICTORS:
    raise UserError(f'predictor is {predictor!r}. Give one of: {", ".join(PREDICTORS)}.')
  representation, factors = inputs.checked(representation, factors, columns=2, num_factors=2)
  (x, y), (x_test, y_test) = inputs.split(representation, factors, train, test, seed)
  if predictor == 'trees' and inputs.is_discrete(x):
    _warn_of_rare_codes(x)
  fits = [PREDICTORS[predictor](x, y[:, f], x_test, seed) for f in range(y.shape[1])]
  importance = np.stack([fit[0] for fit in fits], axis=-1)                     # [V, F]
  return {
      'disentanglement': disentanglement(importance),
      'completeness': disentanglement(importance.T),
      'informativeness': float(np.mean([fit[2] == y_test[:, f] for f, fit in enumerate(fits)])),
      'informativeness_train': float(np.mean([fit[1] == y[:, f] for f, fit in enumerate(fits)])),
  }


def disentanglement(importance: np.ndarray) -> float:
  """1 - entropy of each row in units of its maximum, weighted by the rows' sums: [V, F] >= 0.

  Of the transposed table this is completeness. 0 for a table of zeros.
  """
  rows = importance.sum(-1)
  if not rows.any():
    return 0.
  each = 1 - stats.entropy(importance + EMPTY, base=importance.shape[1], axis=-1)
  return float(np.clip(np.average(each, weights=rows), 0, 1))


def _warn_of_rare_codes(x: np.ndarray) -> None:
  counts = [np.bincount(column) for column in x.T]
  rare = np.array([each[each < MIN_ROWS].sum() for each in counts]) / len(x)
  if rare.max() > RARE:
    warnings.warn(
        f'{rare.max():.0%} of representation column {rare.argmax()} are codes with fewer than '
        f'{MIN_ROWS} training rows, which trees make no use of: dci may be too low. Give more '
        f"samples, or predictor='logistic'.", stacklevel=3)


def _trees(x: np.ndarray, y: np.ndarray, x_test: np.ndarray,
           seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Importance [V] of the columns for one factor; its values as predicted for x and x_test."""
  if inputs.is_discrete(x):
    x, x_test = _categories(x, x_test)
  # Of columns that are alike every tree would take the first. The study's trees take any, so
  # each is due an equal part; the order in which columns came makes no difference either.
  _, kept, copies, number = np.unique(
      inputs.renumbered(x), axis=1, return_index=True, return_inverse=True, return_counts=True)
  categorical = np.arange(len(kept)) if inputs.is_discrete(x) else None
  x, x_test = x[:, kept], x_test[:, kept]
  model = HistGradientBoostingClassifier(
      max_depth=3, min_samples_leaf=1, max_iter=100, learning_rate=.1, early_stopping=False,
      max_bins=MAX_CATEGORIES, categorical_features=categorical, random_state=seed).fit(x, y)
  gains = np.zeros(len(kept))
  # scikit-learn sums no gains for histogram trees; they are only in its trees' nodes.
  for tree in (tree for trees in model._predictors for tree in trees):
    splits = tree.nodes[tree.nodes['is_leaf'] == 0]
    np.add.at(gains, splits['feature_idx'], np.maximum(splits['gain'], 0))
  importance = (gains / max(gains.sum(), EMPTY) / number)[copies.ravel()]
  return importance, model.predict(x), model.predict(x_test)


def _categories(x: np.ndarray, x_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Codes by falling frequency in x, then by first place, whatever their ids: [n, V] int each.

  Those beyond MAX_CATEGORIES are one, and so are those that x lacks.
  """
  for_train, for_test = [], []
  for column, column_test in zip(x.T, x_test.T):
    ids, first, counts = np.unique(column, return_index=True, return_counts=True)
    rank = np.full(max(column.max(), column_test.max()) + 1, MAX_CATEGORIES - 1)
    rank[ids[np.lexsort((first, -counts))]] = np.minimum(np.arange(len(ids)), MAX_CATEGORIES - 1)
    for_train.append(rank[column])
    for_test.append(rank[column_test])
  return np.stack(for_train, axis=-1), np.stack(for_test, axis=-1)


def _logistic(x: np.ndarray, y: np.ndarray, x_test: np.ndarray,
              seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The same by logistic regression."""
  both, column_of = inputs.features(np.concatenate([x, x_test]))
  seen, unseen = (inputs.scaled(part, both[:len(x)]) for part in (both[:len(x)], both[len(x):]))
  model = LogisticRegression(l1_ratio=1, C=10 * len(y) ** -.5, solver='saga', tol=1e-3,
                             max_iter=100, random_state=seed)
  with warnings.catch_warnings():
    # Hundreds of codes without information are fitted ever closer, for many minutes.
    warnings.simplefilter('ignore', ConvergenceWarning)
    model.fit(seen, y)
  weights = np.bincount(column_of, np.abs(model.coef_).sum(0), minlength=x.shape[1])
  return weights / max(weights.sum(), EMPTY), model.predict(seen), model.predict(unseen)


PREDICTORS: dict[str, Callable] = {'trees': _trees, 'logistic': _logistic}
