"""What every metric does first: check its arrays, draw rows, read columns as values or numbers."""

from __future__ import annotations

from typing import Any
import warnings

import numpy as np
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from cvq.errors import UserError

TRAIN, TEST = 10_000, 5_000     # sample sizes of Locatello et al. 2019
BINS = 20                       # of a floating latent, there


def checked(
    representation: Any, factors: Any, *, columns: int = 1, num_factors: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
  """The two arrays, fit to be scored.

  Args:
    representation: [n, V] int codes or [n, D] floating latents.
    factors: [n, F] int, true values.
    columns, num_factors: how many of V (or D) and of F the metric needs at least.

  Returns:
    Codes renumbered within each column to 0..K-1 int64, or latents as float64; and the factors
    renumbered in the same way. A representation that is constant in every column comes back with
    a warning, since what follows from it is a convention and no measurement.

  Raises:
    UserError: shapes, dtypes or values that can't be scored; the message says what to do.
  """
  representation, factors = np.asarray(representation), np.asarray(factors)
  for name, array in (('representation', representation), ('factors', factors)):
    if array.ndim != 2 or not array.size:
      raise UserError(f'{name} has the shape {array.shape}. Give a row per sample and a column '
                      f'per variable, [n, columns], with at least one of each.')
  if len(representation) != len(factors):
    raise UserError(f'representation has {len(representation)} rows and factors has '
                    f'{len(factors)}. Give both for the same samples.')
  if not np.issubdtype(factors.dtype, np.integer):
    raise UserError(f'factors is {factors.dtype}. Give the number of each value, as integers.')
  discrete = np.issubdtype(representation.dtype, np.integer)
  if not discrete and not np.issubdtype(representation.dtype, np.floating):
    raise UserError(f'representation is {representation.dtype}. Give codes as integers, or '
                    f'latents as float32 or float64.')
  if not np.isfinite(representation).all():
    broken = (~np.isfinite(representation)).any(0).nonzero()[0]
    raise UserError(f'representation is NaN or infinite in {len(broken)} of '
                    f'{representation.shape[1]} columns, first in column {broken[0]}.\nIf the '
                    f'model has diverged, score an earlier checkpoint; else leave out those rows.')
  for name, array, least in (('representation', representation, columns),
                             ('factors', factors, num_factors)):
    if array.shape[1] < least:
      raise UserError(f'{name} has {array.shape[1]} column; this metric compares columns. '
                      f'Give at least {least}.')
  factors = renumbered(factors)
  _check_values(factors, 'the samples')
  values = factors.max(0) + 1
  if (2 * values > len(factors)).any():
    column = values.argmax()
    raise UserError(f'factors has {values[column]} values in column {column} for '
                    f'{len(factors)} rows.\nGive more samples: at least two for each value.')
  if (representation == representation[0]).all():
    warnings.warn('representation is constant: every sample has the same code or latent. Its '
                  'scores are what the definitions agree on for no information.', stacklevel=3)
  return renumbered(representation) if discrete else representation.astype(np.float64), factors


def _check_values(factors: np.ndarray, where: str) -> None:
  constant = (factors == factors[0]).all(0)
  if constant.any():
    raise UserError(f'factors is constant in column {constant.argmax()} of {where}; nothing can '
                    f'be said about such a factor.\nLeave the column out, or give samples in '
                    f'which it varies.')


def renumbered(ids: np.ndarray) -> np.ndarray:
  """Ids of each column by rank, 0..K-1: [n, C] int -> [n, C] int64."""
  return np.stack([np.unique(column, return_inverse=True)[1] for column in ids.T], axis=-1)


def is_discrete(representation: np.ndarray) -> bool:
  """Whether these are codes, whose ids are names, rather than latents, which are numbers."""
  return np.issubdtype(representation.dtype, np.integer)


def subset(representation: np.ndarray, factors: np.ndarray, samples: int,
           seed: int) -> tuple[np.ndarray, np.ndarray]:
  """At most `samples` rows of both, drawn without replacement.

  Raises:
    UserError: a factor is constant in them.
  """
  rows = np.random.default_rng(seed).permutation(len(factors))[:samples]
  _check_values(factors[rows], f'the {len(rows)} samples that were drawn')
  return representation[rows], factors[rows]


def split(
    representation: np.ndarray, factors: np.ndarray, train: int, test: int, seed: int,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
  """Two disjoint draws of rows, each (representation, factors).

  `train` and `test` rows where there are so many, else all rows in that proportion.

  Raises:
    UserError: a factor is constant in the training rows.
  """
  n = len(factors)
  if n < train + test:
    train, test = n * train // (train + test), n - n * train // (train + test)
  rows = np.random.default_rng(seed).permutation(n)
  first, second = rows[:train], rows[train:train + test]
  _check_values(factors[first], f'the {train} training samples')
  return (representation[first], factors[first]), (representation[second], factors[second])


def binned(representation: np.ndarray, bins: int) -> np.ndarray:
  """Codes as they are; latents by equal-width bins over each column's range: -> [n, D] int64."""
  if is_discrete(representation):
    return representation
  low, high = representation.min(0), representation.max(0)
  edges = np.linspace(low, high, bins + 1)[1:-1]                               # [bins - 1, D]
  return np.stack(
      [np.digitize(column, edge) for column, edge in zip(representation.T, edges.T)], axis=-1)


def features(representation: np.ndarray) -> tuple[sparse.csr_array | np.ndarray, np.ndarray]:
  """What a linear model reads: a one-hot block for each column of codes, else the latents.

  Returns:
    [n, features], sparse for codes; and [features] int, the column that each belongs to.
  """
  n, columns = representation.shape
  if not is_discrete(representation):
    return representation, np.arange(columns)
  sizes = representation.max(0) + 1
  starts = np.concatenate([[0], np.cumsum(sizes)])
  # scikit-learn's solvers take 32-bit indices alone.
  one_hot = sparse.csr_array(
      (np.ones(n * columns), (representation + starts[:-1]).ravel().astype(np.int32),
       np.arange(0, (n + 1) * columns, columns, dtype=np.int32)), shape=(n, starts[-1]))
  return one_hot, np.repeat(np.arange(columns), sizes)


def scaled(x: sparse.csr_array | np.ndarray,
           like: sparse.csr_array | np.ndarray) -> sparse.csr_array | np.ndarray:
  """x in units of the standard deviation of `like`, and less its mean unless sparse.

  Zeros of sparse features stay zeros; the intercept of a model makes up for their mean. What is
  constant in `like` stays unscaled.
  """
  return StandardScaler(with_mean=not sparse.issparse(x)).fit(like).transform(x)
