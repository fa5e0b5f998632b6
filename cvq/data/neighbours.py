"""The image that an action leads to, among those of a split."""

from __future__ import annotations

from typing import Callable

import numpy as np

from cvq.data.hashing import below, hash64
from cvq.data.images import Images

Inside = Callable[[np.ndarray], np.ndarray]

_BLOCK = 2**14                 # images asked for at once: what that needs stays in a CPU's cache


class Grid:
  """One image for each combination of factors: neighbours by index arithmetic.

  Args:
    images: of a full grid. inside: which of them both ends must belong to, [n] int -> bool.

  Attributes:
    member: [num_images] bool, whether images are inside. A table: that is faster than to ask again.
  """

  def __init__(self, images: Images, inside: Inside):
    self._space, self.member = images.space, _table(inside, images.num_images)

  def step(self, index: np.ndarray, action: np.ndarray, *salt: int | np.ndarray
           ) -> tuple[np.ndarray, np.ndarray]:
    """Where actions lead: (target int64, valid bool), valid if both ends are inside the split.

    Args:
      index, action: int, any two shapes that broadcast. salt: unused; there is one neighbour.
    """
    del salt
    target, valid = self._space.step(index, action)
    return target, valid & self.member[index] & self.member[target]

  def counts(self) -> np.ndarray:
    """Number of valid transitions of each action: int64 [A]."""
    member = self.member.reshape(self._space.sizes)
    counts = []
    for axis, factor in enumerate(self._space.factors):
      values = np.moveaxis(member, axis, 0)
      count = np.count_nonzero(values[:-1] & values[1:])
      if factor.kind == 'cyclic' and factor.size > 1:
        count += np.count_nonzero(values[-1] & values[0])
      counts.append(count)
    return np.asarray(2 * counts)                      # -1 leads back over the same pairs


class Population:
  """Images that are a sample of the combinations: any image of the next combination may follow.

  So both ends of a transition differ in one factor by one step as far as the factors tell, and
  in everything that they do not tell: in CelebA, they are different people.

  Args:
    images: with `combination`. inside, member: as of `Grid`.
  """

  def __init__(self, images: Images, inside: Inside):
    self._space, self._combination = images.space, images.combination
    self.member = _table(inside, images.num_images)
    members = np.flatnonzero(self.member)
    combination = images.combination[members]
    self._order = members[np.argsort(combination, kind='stable')]
    self._keys, self._start, self._count = np.unique(
        np.sort(combination), return_index=True, return_counts=True)

  def step(self, index: np.ndarray, action: np.ndarray, *salt: int | np.ndarray
           ) -> tuple[np.ndarray, np.ndarray]:
    """One of the images where actions lead, chosen by the salt. See `Grid.step`."""
    target, valid = self._space.step(self._combination[index], action)
    if not self._keys.size:
      return np.zeros_like(target), np.zeros_like(valid)
    place = np.minimum(np.searchsorted(self._keys, target), self._keys.size - 1)
    valid = valid & self.member[index] & (self._keys[place] == target)
    nth = below(hash64(*salt, index, action), self._count[place])
    return np.where(valid, self._order[self._start[place] + nth], index), valid

  def counts(self) -> np.ndarray:
    """Number of images that each action has a valid transition from: int64 [A]."""
    members = np.flatnonzero(self.member)
    return np.asarray([np.count_nonzero(self.step(members, action)[1])
                       for action in range(self._space.num_actions)])


def neighbours(images: Images, inside: Inside = lambda index: np.ones(np.shape(index), bool)
               ) -> Grid | Population:
  """The neighbours that fit the images; by default among all of them."""
  return (Grid if images.combination is None else Population)(images, inside)


def _table(inside: Inside, size: int) -> np.ndarray:
  """Whether each of so many images is inside: [size] bool."""
  table = np.empty(size, bool)
  for start in range(0, size, _BLOCK):
    table[start:start + _BLOCK] = inside(np.arange(start, min(start + _BLOCK, size)))
  return table
