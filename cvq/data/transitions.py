"""Transitions by index arithmetic: (x, y, action) inside one split, without a list of pairs."""

from __future__ import annotations

import numpy as np

from cvq.data.factors import FactorSpace
from cvq.data.hashing import below, hash64, unit
from cvq.errors import UserError

SPLITS = ('train', 'validation', 'test')
_STREAM_SPLIT, _STREAM_ACTION, _STREAM_SOURCE, _STREAM_FURTHER, _STREAM_SHARE = range(1, 6)
_ROUNDS = 8                    # blocks of candidates for x before all sources are listed instead


def split_of(index: np.ndarray, *, seed: int, fractions: tuple[float, ...]) -> np.ndarray:
  """Split of each image, by a seeded hash of its index: int8 in the shape of `index`.

  Args:
    index: int of any shape.
    seed: of the split.
    fractions: of train (0), validation (1) and test (2); they sum to 1.

  Raises:
    UserError: fractions that are no partition.
  """
  edges = _edges(fractions)
  u = unit(hash64(_STREAM_SPLIT, seed, index))
  return ((u >= edges[0]).astype(np.int8) + (u >= edges[1])).astype(np.int8)


def split_number(split: str) -> int:
  """Number of a split's name, in 0 .. 2. Raises UserError, naming the known ones."""
  if split not in SPLITS:
    raise UserError(f'Unknown split {split!r}; known: {", ".join(SPLITS)}.')
  return SPLITS.index(split)


def draw_transitions(
    space: FactorSpace, numbers: np.ndarray, *, seed: int, split: str, split_seed: int,
    fractions: tuple[float, ...], targets: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Random transitions: example n is a pure function of its global number, however it is batched.

  Actions are levelled: the first target's action is uniform over all A, then x is uniform over
  the images from which it leads to an image of the same split. Further targets are other valid
  actions of the same x in random order; an x with fewer than T of them (near the border of the
  grid, or with neighbours in other splits) repeats its own, so that x keeps its distribution.

  Args:
    space: the factor grid.
    numbers: [n] int64, global example numbers.
    seed: of the draw. split: 'train' | 'validation' | 'test'. split_seed, fractions: see split_of.
    targets: T, per x.

  Returns:
    (source [n] int64, target [n, T] int64, action [n, T] int32).

  Raises:
    UserError: an action has no transition inside the split, or `targets` is not positive.
  """
  wanted = split_number(split)
  if targets < 1:
    raise UserError(f'targets is {targets}; it must be at least 1.')
  numbers = np.asarray(numbers, np.int64)
  inside = lambda index: split_of(index, seed=split_seed, fractions=fractions) == wanted
  action = below(hash64(_STREAM_ACTION, seed, numbers), space.num_actions)
  source = _draw_sources(space, numbers, action, seed, split, inside, fractions[wanted])
  if targets == 1:
    return source, space.step(source, action)[0][:, None], action[:, None].astype(np.int32)
  every = np.arange(space.num_actions)
  target, valid = space.step(source[:, None], every)                         # [n, A]
  valid &= inside(target)
  key = unit(hash64(_STREAM_FURTHER, seed, numbers[:, None], every))
  key = np.where(every == action[:, None], -1., np.where(valid, key, 2.))    # drawn one leads
  order = np.argsort(key, axis=-1, kind='stable')
  position = np.arange(targets) % valid.sum(-1, keepdims=True)               # [n, T]
  chosen = np.take_along_axis(order, position, axis=-1)
  return source, np.take_along_axis(target, chosen, axis=-1), chosen.astype(np.int32)


def count_transitions(
    space: FactorSpace, *, split: str, split_seed: int, fractions: tuple[float, ...]
) -> np.ndarray:
  """Number of transitions of a split for each action: int64 [A]."""
  member = _members(space, split, split_seed, fractions)[1].reshape(space.sizes)
  counts = []
  for axis, factor in enumerate(space.factors):
    values = np.moveaxis(member, axis, 0)
    count = np.count_nonzero(values[:-1] & values[1:])
    if factor.kind == 'cyclic' and factor.size > 1:
      count += np.count_nonzero(values[-1] & values[0])
    counts.append(count)
  return np.asarray(2 * counts)                        # -1 leads back over the same pairs


def choose_transitions(
    space: FactorSpace, *, examples: int, seed: int, split: str, split_seed: int,
    fractions: tuple[float, ...],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A seeded share of a split's transitions for evaluation: each at most once, actions levelled.

  Args:
    space: the factor grid.
    examples: n, size of the share; 0, or more than there are: every transition of the split.
    seed: of the share. split: its name. split_seed, fractions: see split_of.

  Returns:
    (source [n] int64, target [n] int64, action [n] int32), in a seeded random order.

  Raises:
    UserError: the split has no transition, or `examples` is negative.
  """
  if examples < 0:
    raise UserError(f'examples is {examples}; it must be positive, or 0 for the whole split.')
  members = _members(space, split, split_seed, fractions)
  pools = [_sources(space, members, action) for action in range(space.num_actions)]
  available = np.asarray([pool.size for pool in pools])
  if not available.sum():
    raise UserError(f'The {split} split (fractions {tuple(fractions)}) holds no transition; '
                    'raise its fraction.')
  quotas = _level(available, examples or int(available.sum()))
  source, ranks = [], []
  for action, (pool, quota) in enumerate(zip(pools, quotas)):
    rank = hash64(_STREAM_SHARE, seed, action, pool)
    if quota < pool.size:
      kept = np.argpartition(rank, quota)[:quota]
      pool, rank = pool[kept], rank[kept]
    source.append(pool)
    ranks.append(rank)
  order = np.argsort(np.concatenate(ranks), kind='stable')
  source = np.concatenate(source)[order]
  action = np.repeat(np.arange(space.num_actions), quotas)[order]
  return source, space.step(source, action)[0], action.astype(np.int32)


def _edges(fractions: tuple[float, ...]) -> np.ndarray:
  values = np.asarray(fractions, np.float64)
  if values.shape != (3,) or (values < 0).any() or abs(values.sum() - 1) > 1e-6:
    raise UserError(f'dataset.fractions is {tuple(fractions)}; it needs three shares (train, '
                    'validation, test), none negative, that sum to 1.')
  return np.cumsum(values)[:2]


def _draw_sources(space, numbers, action, seed, split, inside, fraction) -> np.ndarray:
  """x of each example: the first of its stream of candidates that is valid for its action."""
  source = np.full(numbers.shape, -1, np.int64)
  pending = np.arange(numbers.size)
  block = int(np.clip(3 / max(fraction, 1e-6)**2, 8, 256))    # most x are found in the first
  for start in range(0, _ROUNDS * block, block):
    if not pending.size:
      return source
    nth = np.arange(start, start + block)
    candidate = below(hash64(_STREAM_SOURCE, seed, numbers[pending, None], nth), space.num_images)
    target, valid = space.step(candidate, action[pending, None])
    valid &= inside(candidate) & inside(target)                              # [pending, block]
    found = valid.any(-1)
    source[pending[found]] = candidate[found, valid[found].argmax(-1)]
    pending = pending[~found]
  # Rare: small grids or splits. All sources of the action are listed and one is chosen.
  members = np.flatnonzero(inside(np.arange(space.num_images)))
  for a in np.unique(action[pending]):
    pool = members[_stays(space, members, a, inside)]
    if not pool.size:
      raise UserError(f'No transition {space.action_names[a]!r} lies inside the {split} split; '
                      'raise its share in dataset.fractions.')
    mine = pending[action[pending] == a]
    source[mine] = pool[below(hash64(_STREAM_SOURCE, seed, numbers[mine], -1), pool.size)]
  return source


def _stays(space, members, action, inside) -> np.ndarray:
  target, valid = space.step(members, action)
  return valid & inside(target)


def _members(space, split, split_seed, fractions) -> tuple[np.ndarray, np.ndarray]:
  """Images of a split, [m] int64, and membership of all images, bool."""
  member = split_of(np.arange(space.num_images), seed=split_seed, fractions=fractions)
  member = member == split_number(split)
  return np.flatnonzero(member), member


def _sources(space, members, action) -> np.ndarray:
  """Images of a split from which an action leads to an image of the same split."""
  index, member = members
  return index[_stays(space, index, action, lambda target: member[target])]


def _level(available: np.ndarray, total: int) -> np.ndarray:
  """Shares that sum to min(total, available.sum()), as equal as what is available allows."""
  quotas = np.zeros_like(available)
  left = min(total, int(available.sum()))
  while left:
    open_ = np.flatnonzero(quotas < available)
    each = np.full(open_.size, left // open_.size)
    each[:left % open_.size] += 1
    grant = np.minimum(each, (available - quotas)[open_])
    quotas[open_] += grant
    left -= int(grant.sum())
  return quotas
