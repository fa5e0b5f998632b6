"""Modularity and explicitness."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cvq.evaluation.disentanglement import information, inputs


def modularity_explicitness(
    representation: np.ndarray, factors: np.ndarray, *, seed: int = 0,
    train: int = inputs.TRAIN, test: int = inputs.TEST,
    bins: int = inputs.BINS) -> dict[str, float]:
  """Modularity and explicitness (Ridgeway & Mozer 2018, section 3).

  Modularity: 1 - (sum of a column's squared information on all factors but its best one) / ((F -
  1) x the square of the best), averaged over columns; a column without information counts 0.
  1: each column knows one factor. Counted information is never quite 0, so random columns have
  a modularity well above 0, and one that depends on their luck.

  Explicitness: area under the ROC curve of logistic regression for each value of a factor against
  the others, averaged over values, then factors. Chance is 0.5. Sizes, and the standardised
  latents that the regression reads, are those of Locatello et al. 2019; of codes it reads one-hot
  vectors.

  Args:
    representation: [n, V] int codes, or [n, D] floating latents, which modularity cuts into
      `bins` bins of equal width.
    factors: [n, F] int, at least two columns.
    seed: of the split into training and test rows.
    train, test: rows for either; all rows in that proportion if there are fewer.

  Returns:
    `modularity` (of the training rows), `explicitness` (of the test rows) and
    `explicitness_train`, in [0, 1].

  Raises:
    UserError: see `inputs.checked`.
  """
  representation, factors = inputs.checked(representation, factors, num_factors=2)
  (x, y), (x_test, y_test) = inputs.split(representation, factors, train, test, seed)
  table = information.mutual_information(inputs.binned(x, bins), y)
  one_hot, _ = inputs.features(np.concatenate([x, x_test]))
  seen, unseen = one_hot[:len(x)], one_hot[len(x):]
  if not inputs.is_discrete(x):
    seen, unseen = inputs.scaled(seen, seen), inputs.scaled(unseen, seen)
  areas = np.array([_areas(seen, y[:, f], unseen, y_test[:, f]) for f in range(y.shape[1])])
  return modularity_of(table) | {'explicitness': float(areas[:, 1].mean()),
                                 'explicitness_train': float(areas[:, 0].mean())}


def modularity_of(table: np.ndarray) -> dict[str, float]:
  """Modularity from I(column; factor), [V, F], F >= 2."""
  squared = np.square(table)
  best = squared.max(-1)
  rest = (squared.sum(-1) - best) / (squared.shape[1] - 1)
  each = np.where(best > 0, 1 - rest / np.where(best > 0, best, 1), 0)
  return {'modularity': float(each.mean())}


def _areas(x, y: np.ndarray, x_test, y_test: np.ndarray) -> tuple[float, float]:
  """Mean area under the ROC curve over one factor's values, on training and on test rows."""
  model = LogisticRegression(max_iter=1000).fit(x, y)
  return tuple(_area(model.predict_proba(rows), values, model.classes_)
               for rows, values in ((x, y), (x_test, y_test)))


def _area(probabilities: np.ndarray, values: np.ndarray, classes: np.ndarray) -> float:
  # A value that no test row or every test row has draws no curve.
  curves = [(values == value, probabilities[:, i]) for i, value in enumerate(classes)
            if 0 < (values == value).sum() < len(values)]
  return float(np.mean([roc_auc_score(is_value, p) for is_value, p in curves]))
