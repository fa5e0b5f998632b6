"""Which variables belong to which factor: by what actions move, and by what codes tell."""

from __future__ import annotations

import numpy as np

from cvq.evaluation.disentanglement import dci_score, information, inputs


def by_factor(values: np.ndarray, actions: np.ndarray, num_factors: int) -> np.ndarray:
  """How far the actions on each factor touch each variable, on average over both directions.

  Args:
    values: [n, V] in [0, 1], the mask or whether the code changes. actions: [n] int.
    num_factors: F; action f moves factor f by +1, F + f by -1.

  Returns:
    [V, F] float64, 0 for a factor without transitions.
  """
  table = np.zeros((values.shape[1], num_factors))
  for factor in range(num_factors):
    rows = values[actions % num_factors == factor]
    if len(rows):
      table[:, factor] = rows.mean(0, dtype=np.float64)
  return table


def agreement(mask: np.ndarray, moved: np.ndarray) -> dict[str, float | None]:
  """How a mask and the variables that move agree, and how far each tells the factors apart.

  Args:
    mask, moved: [V, F] from `by_factor`.

  Returns:
    `correlation` of the two tables (Pearson), None where one is constant; and of each table
    `disentanglement` and `completeness`: DCI's entropies (Eastwood & Williams 2018) with the
    table in place of a predictor's importances. A variable that one factor alone moves scores 1.
  """
  varied = np.ptp(mask) > 0 and np.ptp(moved) > 0
  return {'correlation': float(np.corrcoef(mask.ravel(), moved.ravel())[0, 1]) if varied else None,
          'mask_disentanglement': dci_score.disentanglement(mask),
          'mask_completeness': dci_score.disentanglement(mask.T),
          'moved_disentanglement': dci_score.disentanglement(moved),
          'moved_completeness': dci_score.disentanglement(moved.T)}


def information_table(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
  """I(code; factor) / H(factor) of each variable and factor: [n, V], [n, F] int -> [V, F].

  Counted; 0 for a factor that is constant in the samples.
  """
  factors = inputs.renumbered(factors)
  entropies = information.entropies(factors)
  table = information.mutual_information(inputs.renumbered(codes), factors)
  return table / np.where(entropies > 0, entropies, 1)
