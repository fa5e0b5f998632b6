"""Separated attribute predictability."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.svm import LinearSVC

from cvq.evaluation.disentanglement import information, inputs

C = .01                         # of the support vector machine, in Locatello et al. 2019


def sap(representation: np.ndarray, factors: np.ndarray, *, seed: int = 0,
        train: int = inputs.TRAIN, test: int = inputs.TEST,
        continuous_factors: bool = False) -> dict[str, float]:
  """Separated attribute predictability (Kumar et al. 2018, section 3).

  How well each column alone predicts each factor; for each factor the best column's score less
  the second's, and the mean over factors. 0 where two columns are alike, or where none tells.

  With `continuous_factors=False`, as in Locatello et al. 2019, the score is the test accuracy of
  a linear SVM (C = 0.01, squared hinge, classes balanced, one against the rest). The second best
  column is right by chance now and then, so no score is above 1 less chance, about 1 - 1/C for
  C values. On one floating latent such an SVM finds hardly any but a factor's lowest and highest
  value, so that even latents equal to the factors score far lower. Of codes it reads one-hot
  vectors, which have no such limit. With `continuous_factors=True` the score is the squared
  correlation of latent and factor; for codes the share of the factor's variance that the code
  explains, which is what regression on its one-hot vector gives.

  Args:
    representation: [n, V] int codes or [n, D] floating latents, at least two columns.
    factors: [n, F] int; with `continuous_factors`, their order has to mean something.
    seed: of the split into training and test rows.
    train, test: rows for either; all rows in that proportion if there are fewer.
    continuous_factors: whether factors are quantities rather than classes.

  Returns:
    `sap` in [0, 1].

  Raises:
    UserError: see `inputs.checked`.
  """
  representation, factors = inputs.checked(representation, factors, columns=2)
  (x, y), (x_test, y_test) = inputs.split(representation, factors, train, test, seed)
  table = np.empty((x.shape[1], y.shape[1]))
  for v in range(x.shape[1]):
    for f in range(y.shape[1]):
      if continuous_factors:
        table[v, f] = explained(x[:, v], y[:, f])
      else:
        table[v, f] = accuracy(x[:, v], y[:, f], x_test[:, v], y_test[:, f])
  return {'sap': float(information.gaps(table).mean())}


def accuracy(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray) -> float:
  """Test accuracy of a linear SVM on one column: [n] and [n] int, twice."""
  weights = len(y) / (np.bincount(y)[y] * len(np.unique(y)))       # as much for each class
  if not inputs.is_discrete(x):
    model = LinearSVC(C=C, dual=False).fit(x[:, None], y, sample_weight=weights)
    return float((model.predict(x_test[:, None]) == y_test).mean())
  # Rows with the same code and value are one row with their summed weight: the same optimum,
  # from some hundreds of rows in place of thousands.
  one_hot = np.eye(max(x.max(), x_test.max()) + 1)
  pairs, where = np.unique(np.stack([x, y], -1), axis=0, return_inverse=True)
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', 'The number of unique classes', UserWarning)
    model = LinearSVC(C=C, dual=False).fit(
        one_hot[pairs[:, 0]], pairs[:, 1], sample_weight=np.bincount(where.ravel(), weights))
  return float((model.predict(one_hot)[x_test] == y_test).mean())


def explained(x: np.ndarray, y: np.ndarray) -> float:
  """Share of the variance of y that one column explains linearly: [n], [n] int -> [0, 1]."""
  if inputs.is_discrete(x):
    counts = np.bincount(x)
    means = np.bincount(x, y) / np.maximum(counts, 1)
    return float(np.var(means[x]) / np.var(y))
  if x.var() == 0:
    return 0.
  return float(np.corrcoef(x, y)[0, 1] ** 2)
