"""The grid of factors of variation: indices, values, and the actions that step between them."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

from cvq.errors import UserError

KINDS = ('ordered', 'cyclic', 'unordered')


@dataclasses.dataclass(frozen=True)
class Factor:
  """One factor of variation.

  Attributes:
    name: of the factor.
    size: number of values, 0 .. size - 1.
    kind: 'ordered' and 'unordered' end at their first and last value (the latter has no metric:
      a step leads to the next value in the published order); 'cyclic' wraps around.
    values: names of the values, in their order; empty: they are called by their numbers.
  """
  name: str
  size: int
  kind: str = 'ordered'
  values: tuple[str, ...] = ()

  def __post_init__(self):
    object.__setattr__(self, 'values', tuple(self.values))
    if self.size < 1:
      raise UserError(f'Factor {self.name!r} has size {self.size}; it must be at least 1.')
    if self.values and len(self.values) != self.size:
      raise UserError(f'Factor {self.name!r} has {self.size} values but {len(self.values)} names.')
    if self.kind not in KINDS:
      raise UserError(f'Factor {self.name!r} has kind {self.kind!r}; known: {", ".join(KINDS)}.')


@dataclasses.dataclass(frozen=True)
class FactorSpace:
  """All combinations of F factors; an index counts them with the last factor fastest.

  Action f moves factor f by +1, action F + f moves it by -1 (A = 2F actions).
  """
  factors: tuple[Factor, ...]

  def __post_init__(self):
    object.__setattr__(self, 'factors', tuple(self.factors))
    if not self.factors or len(set(self.names)) != len(self.factors):
      raise UserError(f'A factor space needs factors with distinct names, not {self.names}.')
    dotted = [name for name in self.names if '.' in name]
    if dotted:
      raise UserError(f'Factor {dotted[0]!r}: a name has no dot, by which reports and tables find '
                      'figures.\nUse _ instead.')

  @property
  def names(self) -> tuple[str, ...]:
    return tuple(factor.name for factor in self.factors)

  @property
  def sizes(self) -> tuple[int, ...]:
    return tuple(factor.size for factor in self.factors)

  @property
  def num_factors(self) -> int:
    return len(self.factors)

  @property
  def num_images(self) -> int:
    return math.prod(self.sizes)

  @property
  def num_actions(self) -> int:
    return 2 * len(self.factors)

  @property
  def action_names(self) -> tuple[str, ...]:
    return tuple(f'{name}{sign}' for sign in ('+1', '-1') for name in self.names)

  def value_names(self, factor: int) -> tuple[str, ...]:
    """Names of the values of a factor, in their order."""
    return self.factors[factor].values or tuple(map(str, range(self.sizes[factor])))

  @functools.cached_property
  def _sizes(self) -> np.ndarray:
    return np.asarray(self.sizes, np.int64)

  @functools.cached_property
  def _strides(self) -> np.ndarray:
    return np.append(np.cumprod(self._sizes[:0:-1])[::-1], 1).astype(np.int64)

  @functools.cached_property
  def _cyclic(self) -> np.ndarray:
    return np.asarray([factor.kind == 'cyclic' for factor in self.factors])

  def to_factors(self, index: np.ndarray) -> np.ndarray:
    """Factor values of images. index: [n] int. Returns [n, F] int32. Raises UserError."""
    index = self._checked(index, self.num_images, 'image index')
    return (index[..., None] // self._strides % self._sizes).astype(np.int32)

  def to_index(self, factors: np.ndarray) -> np.ndarray:
    """Indices of factor values. factors: [n, F] int. Returns [n] int64. Raises UserError."""
    factors = np.asarray(factors)
    if factors.ndim < 1 or factors.shape[-1] != self.num_factors:
      raise UserError(f'Factor values of shape {factors.shape}: the last axis must hold the '
                      f'{self.num_factors} factors {", ".join(self.names)}.')
    for column, factor in enumerate(self.factors):
      self._checked(factors[..., column], factor.size, f'value of factor {factor.name!r}')
    return factors.astype(np.int64) @ self._strides

  def step(self, index: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images that actions lead to.

    Args:
      index: [n] int. action: [n] int in 0 .. A - 1 (any two shapes that broadcast).

    Returns:
      (target [n] int64, valid [n] bool). An action is invalid where the factor would leave its
      range, and for a factor of a single value; its target is then the image itself.

    Raises:
      UserError: an index or action is out of range.
    """
    index = self._checked(index, self.num_images, 'image index')
    action = self._checked(action, self.num_actions, 'action')
    factor = action % self.num_factors
    delta = np.where(action < self.num_factors, 1, -1)
    size, stride = self._sizes[factor], self._strides[factor]
    value = index // stride % size
    moved = value + delta
    wrapped = moved % size
    valid = (wrapped == moved) | (self._cyclic[factor] & (size > 1))
    return index + np.where(valid, (wrapped - value) * stride, 0), valid

  def _checked(self, numbers: np.ndarray, limit: int, what: str) -> np.ndarray:
    numbers = np.asarray(numbers)
    if numbers.dtype.kind not in 'iu' and numbers.size:
      raise UserError(f'{what} must be a whole number, not {numbers.dtype}.')
    if numbers.size and (numbers.min() < 0 or numbers.max() >= limit):
      bad = numbers[(numbers < 0) | (numbers >= limit)].flat[0]
      raise UserError(f'{what} {bad} is out of range: 0 to {limit - 1}.')
    return numbers.astype(np.int64)
