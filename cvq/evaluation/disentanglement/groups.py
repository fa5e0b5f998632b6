"""Rows that share a factor's value, drawn from given samples, and how codes or latents vary."""

from __future__ import annotations

import numpy as np

from cvq.errors import UserError
from cvq.evaluation.disentanglement import inputs


def sharing(values: np.ndarray, draws: int, batch: int, rng: np.random.Generator) -> np.ndarray:
  """Batches of rows in which one value is held: [n] int -> [draws, batch] rows.

  The value as often as it occurs, then rows that have it, with replacement.

  Raises:
    UserError: no value occurs twice.
  """
  order, starts, counts = _grouped(values)
  value = values[rng.choice(_with_partner(values, counts), draws)][:, None]
  return order[starts[value] + rng.integers(counts[value], size=(draws, batch))]


def pairs(values: np.ndarray, draws: int, batch: int,
          rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
  """Pairs of different rows with the same value: [n] int -> rows [draws, batch], twice.

  The first row any whose value occurs twice, the second any other with that value.

  Raises:
    UserError: no value occurs twice.
  """
  order, starts, counts = _grouped(values)
  first = rng.choice(_with_partner(values, counts), (draws, batch))
  place = np.empty_like(order)
  place[order] = np.arange(len(order))
  start, count = starts[values[first]], counts[values[first]]
  step = rng.integers(1, count)
  return first, order[start + (place[first] - start + step) % count]


def _grouped(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Rows in the order of their values, and each value's first place and number of rows."""
  counts = np.bincount(values)
  return np.argsort(values, kind='stable'), np.cumsum(counts) - counts, counts


def _with_partner(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
  rows = (counts[values] > 1).nonzero()[0]
  if not rows.size:
    raise UserError(f'No two of {len(values)} samples share a value of some factor. Give more '
                    f'samples, or leave out factors with very many values.')
  return rows


def spread(column: np.ndarray, rows: np.ndarray) -> np.ndarray:
  """Variance of a column within each batch of rows: [n], [draws, batch] -> [draws].

  Of latents the unbiased one. Of codes Gini's, half the share of pairs that differ, which Kim &
  Mnih 2018 (section 4) take for discrete latents.
  """
  draws, batch = rows.shape
  if not inputs.is_discrete(column):
    return column[rows].var(-1, ddof=1)
  size = column.max() + 1
  cells = np.arange(draws)[:, None] * size + column[rows]
  counts = np.bincount(cells.ravel(), minlength=draws * size).reshape(draws, size)
  return (batch ** 2 - np.square(counts).sum(-1)) / (2 * batch * (batch - 1))


def distance(column: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Mean distance of a column over pairs of rows: [n], [draws, batch] twice -> [draws].

  Of latents |difference|; of codes whether they differ.
  """
  if inputs.is_discrete(column):
    return (column[first] != column[second]).mean(-1)
  return np.abs(column[first] - column[second]).mean(-1)
