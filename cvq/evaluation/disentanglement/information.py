"""Mutual information between columns, by counting: the plug-in estimate, in nats."""

from __future__ import annotations

import numpy as np

from cvq.evaluation.disentanglement import inputs


def mutual_information(codes: np.ndarray, factors: np.ndarray,
                       weights: np.ndarray | None = None) -> np.ndarray:
  """I(code; factor) of each pair of columns, in nats.

  Args:
    codes: [n, V] int from 0. factors: [n, F] int from 0.
    weights: [n], how often each row counts; None: once.

  Returns:
    [V, F] float64, at least 0. With K code values and C factor values it exceeds the truth by
    about (K-1)(C-1) / 2n where the two are independent (Miller 1955).
  """
  of_codes, of_factors = entropies(codes, weights), entropies(factors, weights)
  joint = np.empty((codes.shape[1], factors.shape[1]))
  for j, factor in enumerate(factors.T):
    joint[:, j] = entropies(codes * (factor.max() + 1) + factor[:, None], weights)
  return np.maximum(of_codes[:, None] + of_factors - joint, 0)


def entropies(ids: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
  """Entropy of each column in nats: [n, C] int from 0, weights [n] or None -> [C]."""
  result = np.empty(ids.shape[1])
  total = len(ids) if weights is None else weights.sum()
  for c, column in enumerate(ids.T):
    counts = np.bincount(column, weights)
    p = counts[counts > 0] / total
    result[c] = -(p * np.log(p)).sum()
  return result


def gaps(table: np.ndarray) -> np.ndarray:
  """How far each factor's best column is ahead of the second: [V, F], V >= 2 -> [F]."""
  ordered = np.sort(table, axis=0)
  return ordered[-1] - ordered[-2]


def draw(representation: np.ndarray, factors: np.ndarray, *, samples: int, bins: int,
         seed: int) -> tuple[np.ndarray, np.ndarray]:
  """The rows and values that information is counted on: [n, V] int, [n, F] int."""
  representation, factors = inputs.subset(representation, factors, samples, seed)
  return inputs.renumbered(inputs.binned(representation, bins)), inputs.renumbered(factors)
