"""Which split an image belongs to: at random, by its combination of factors, or as published."""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

from cvq.data.factors import FactorSpace
from cvq.data.hashing import hash64, unit
from cvq.data.images import Images
from cvq.errors import UserError

SPLITS = ('train', 'validation', 'test')
KINDS = ('random', 'compositional', 'published')
_STREAM = 1


def split_number(split: str) -> int:
  """Number of a split's name, in 0 .. 2. Raises UserError, naming the known ones."""
  if split not in SPLITS:
    raise UserError(f'Unknown split {split!r}; known: {", ".join(SPLITS)}.')
  return SPLITS.index(split)


def split_of(index: np.ndarray, *, seed: int, fractions: tuple[float, ...]) -> np.ndarray:
  """Random split of each image, by a seeded hash of its index: int8 in the shape of `index`.

  Args:
    index: int of any shape.
    seed: of the split.
    fractions: of train (0), validation (1) and test (2); they sum to 1.

  Raises:
    UserError: fractions that are no partition.
  """
  edges = _edges(fractions)
  u = unit(hash64(_STREAM, seed, index))
  return ((u >= edges[0]).astype(np.int8) + (u >= edges[1])).astype(np.int8)


def splitter(images: Images, config: Any) -> Callable[[np.ndarray], np.ndarray]:
  """The function from image indices, of any shape, to their splits, int8.

  random: 70/15/15 of images, or as `fractions` says (the paper's protocol).
  compositional: images whose factors all lie in the ranges of `held_out` are for testing; the
    others are divided between train and validation in proportion to their fractions. So these
    combinations of values are never seen in training, though each value is; unless only one
    factor is narrowed, whose values in the range are then not seen at all.
  published: the split that came with the images.

  Args:
    images: of the dataset.
    config: `config.dataset`, with splits, split_seed, fractions, held_out.

  Raises:
    UserError: an unknown kind, ranges that name no factor or value, no published split.
  """
  if config.splits == 'compositional':
    ranges = parse_ranges(config.held_out, images.space)
    return _compositional(images, ranges, config.split_seed, tuple(config.fractions))
  if config.splits == 'published':
    if images.published_split is None:
      raise UserError(f'dataset.splits is published, but {config.name} was published without '
                      'splits.\nSet --config.dataset.splits=random')
    return lambda index: images.published_split[index]
  if config.splits != 'random':
    raise UserError(f'Unknown dataset.splits {config.splits!r}; known: {", ".join(KINDS)}.')
  _edges(tuple(config.fractions))
  return lambda index: split_of(index, seed=config.split_seed, fractions=tuple(config.fractions))


def members(images: Images, config: Any, split: str) -> Callable[[np.ndarray], np.ndarray]:
  """Which images, by indices of any shape, belong to a split, bool; see `splitter`."""
  split_of_image, number = splitter(images, config), split_number(split)
  return lambda index: split_of_image(index) == number


def parse_ranges(text: str, space: FactorSpace) -> dict[int, tuple[int, int]]:
  """'shape=1-2,posX=16-31' -> {0: (1, 2), 3: (16, 31)}: factor -> first and last value.

  Raises:
    UserError: no range, an unknown factor, a range that is empty or leaves the factor's values.
  """
  ranges = {}
  for factor, value in parse_by_factor(text, space, 'dataset.held_out').items():
    first, dash, last = value.partition('-')
    last = last if dash else first
    size = space.sizes[factor]
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < size):
      raise UserError(f'dataset.held_out: {space.names[factor]}={value} is no range of its values '
                      f'0 to {size - 1}; write, for example, {space.names[factor]}=0-{size - 1}')
    ranges[factor] = int(first), int(last)
  if not ranges:
    raise UserError('dataset.splits is compositional, which needs the ranges held out: '
                    f"--config.dataset.held_out='{space.names[0]}=0-1,{space.names[-1]}=0-1'")
  return ranges


def parse_by_factor(text: str, space: FactorSpace, field: str) -> dict[int, str]:
  """'shape=10,posX=5' -> {0: '10', 3: '5'}. Raises UserError, naming the field."""
  found: dict[int, str] = {}
  for part in filter(None, (part.strip() for part in text.split(','))):
    name, equals, value = part.partition('=')
    if not equals or name not in space.names:
      raise UserError(f'{field}: {part!r} is not FACTOR=VALUE with one of the factors '
                      f'{", ".join(space.names)}.')
    if space.names.index(name) in found:
      raise UserError(f'{field} names {name!r} twice.')
    found[space.names.index(name)] = value
  return found


def _compositional(images, ranges, seed, fractions) -> Callable[[np.ndarray], np.ndarray]:
  seen = fractions[0] + fractions[1]
  if not seen:
    raise UserError(f'dataset.fractions is {fractions}; a compositional split needs a share for '
                    'train.')
  shares = (fractions[0] / seen, fractions[1] / seen, 0.)

  def split(index: np.ndarray) -> np.ndarray:
    factors = images.factors(index)
    held_out = np.ones(np.shape(index), bool)
    for factor, (first, last) in ranges.items():
      held_out &= (factors[..., factor] >= first) & (factors[..., factor] <= last)
    return np.where(held_out, np.int8(2), split_of(index, seed=seed, fractions=shares))
  return split


def _edges(fractions: tuple[float, ...]) -> np.ndarray:
  values = np.asarray(fractions, np.float64)
  if values.shape != (3,) or (values < 0).any() or abs(values.sum() - 1) > 1e-6:
    raise UserError(f'dataset.fractions is {tuple(fractions)}; it needs three shares (train, '
                    'validation, test), none negative, that sum to 1.')
  return np.cumsum(values)[:2]
