"""Interventional robustness score."""

from __future__ import annotations

import numpy as np

from cvq.evaluation.disentanglement import inputs

QUANTILE = .99


def irs(representation: np.ndarray, factors: np.ndarray, *, seed: int = 0,
        samples: int = inputs.TRAIN, quantile: float = QUANTILE) -> dict[str, float]:
  """Interventional robustness (Suter et al. 2019; sizes of Locatello et al. 2019).

  While a factor is held, how far does a column get from its mean, at most? Averaged over the
  factor's values and in units of the column's largest deviation from its overall mean; 1 less
  that, of the factor that holds the column best, is the column's robustness. The score is their
  mean with the largest deviations as weight; constant columns are left out. A constant
  representation scores 0, as in the study.

  A column of codes is a one-hot vector, with the Euclidean distance of the paper: code c deviates
  by sqrt(1 - 2 p_c + sum p^2) from the mean of codes with the frequencies p.

  Random codes score about 0; random latents do not, because the largest of all deviations is in
  the denominator and a quantile in the numerator: 0.36 for normal ones at n = 10,000. Few samples
  per value raise it further, since they lie near their own mean.

  Args:
    representation: [n, V] int codes or [n, D] floating latents.
    factors: [n, F] int.
    seed: of the draw of rows.
    samples: rows used, all if there are fewer.
    quantile: of the deviations, that stands for their maximum; 1 is the paper's, 0.99 the study's.

  Returns:
    `irs` in [0, 1].

  Raises:
    UserError: see `inputs.checked`.
  """
  representation, factors = inputs.checked(representation, factors)
  x, y = inputs.subset(representation, factors, samples, seed)
  x = x[:, (x != x[0]).any(0)]
  if not x.size:
    return {'irs': 0.}
  largest = deviations(x).max(0)                                               # [V]
  table = np.empty((x.shape[1], y.shape[1]))
  for f, values in enumerate(y.T):
    held = [np.quantile(deviations(x[values == value]), quantile, axis=0)
            for value in np.unique(values)]
    table[:, f] = 1 - np.mean(held, axis=0) / largest
  return {'irs': float(max(0, np.average(table.max(-1), weights=largest)))}


def deviations(x: np.ndarray) -> np.ndarray:
  """Distance of each entry from its column's mean: [m, V] -> [m, V]."""
  if not inputs.is_discrete(x):
    return np.abs(x - x.mean(0))
  result = np.empty(x.shape)
  for v, column in enumerate(x.T):
    p = np.bincount(column) / len(column)
    # Rounding takes a column with one code just below zero.
    result[:, v] = np.sqrt(np.maximum(1 - 2 * p + np.square(p).sum(), 0))[column]
  return result
