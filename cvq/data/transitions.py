"""Transitions of one split: (x, y, action), drawn for training, chosen for evaluation.

Every draw is a pure function of the seed and the example's number, so that a batch does not
depend on how examples are batched or shared among processes.
"""

from __future__ import annotations

import abc
import functools
import itertools

import numpy as np

from cvq.data.hashing import below, hash64, unit
from cvq.data.images import Images
from cvq.data.imbalance import Imbalance
from cvq.data.neighbours import Grid, Population
from cvq.errors import UserError

STREAM_ACTION, STREAM_SOURCE, _STREAM_FURTHER, _STREAM_SHARE, _STREAM_PARTNER = range(2, 7)
_CANDIDATES = 2048             # for one x, before all sources are listed instead
_PROBES = 4096


class Transitions(abc.ABC):
  """Transitions of a split.

  Args:
    images: of the dataset. split: its name, for messages.
    imbalance: of the sources that are drawn, or None.
    levelled: actions are drawn equally often; otherwise in proportion to their transitions, so
      that a factor with more values moves more often.
  """

  def __init__(self, images: Images, split: str, imbalance: Imbalance | None, levelled: bool):
    self._images, self._split = images, split
    self._imbalance, self._levelled = imbalance, levelled
    self._num_actions = images.space.num_actions

  @abc.abstractmethod
  def pool(self, action: int) -> tuple[np.ndarray, np.ndarray]:
    """All transitions of an action: (source [m] int64, target [m] int64)."""

  @abc.abstractmethod
  def draw(self, numbers: np.ndarray, *, seed: int, targets: int = 1
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random transitions, T for each source, in the proportions of the constructor.

    Further targets are other valid actions of the same x in random order; an x with fewer than T
    of them repeats its own, so that x keeps its distribution.

    Args:
      numbers: [n] int64, global example numbers. seed: of the draw. targets: T.

    Returns:
      (source [n] int64, target [n, T] int64, action [n, T] int32).

    Raises:
      UserError: an action has no transition, or `targets` is not positive.
    """

  @functools.cached_property
  def counts(self) -> np.ndarray:
    """Number of transitions of each action: int64 [A]."""
    return np.asarray([self.pool(action)[0].size for action in range(self._num_actions)])

  def check(self) -> None:
    """Raises UserError if there is an action without any transition."""
    for action in range(self._num_actions):
      if not self._has(action):
        raise self._none(action)

  def choose(self, *, examples: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A seeded share of the transitions for evaluation: each at most once, actions levelled.

    Args:
      examples: n, size of the share; 0, or more than there are: every transition.
      seed: of the share.

    Returns:
      (source [n] int64, target [n] int64, action [n] int32), in a seeded random order.

    Raises:
      UserError: the split has no transition, or `examples` is negative.
    """
    if examples < 0:
      raise UserError(f'examples is {examples}; it must be positive, or 0 for the whole split.')
    pools = [self.pool(action) for action in range(self._num_actions)]
    available = np.asarray([source.size for source, _ in pools])
    if not available.sum():
      raise UserError(f'The {self._split} split holds no transition; raise its share in '
                      'dataset.fractions, or widen dataset.held_out.')
    quotas = _level(available, examples or int(available.sum()))
    kept, ranks = [], []
    for action, (pool, quota) in enumerate(zip(pools, quotas)):
      rank = hash64(_STREAM_SHARE, seed, action, pool[0])
      row = np.argpartition(rank, quota)[:quota] if quota < rank.size else slice(None)
      kept.append(np.stack(pool)[:, row])
      ranks.append(rank[row])
    order = np.argsort(np.concatenate(ranks), kind='stable')
    source, target = np.concatenate(kept, axis=1)[:, order]
    action = np.repeat(np.arange(self._num_actions), quotas)[order]
    return source, target, action.astype(np.int32)

  def _has(self, action: int) -> bool:
    return bool(self.counts[action])

  def _none(self, action: int) -> UserError:
    name = self._images.space.action_names[action]
    return UserError(f'No transition {name!r} lies inside the {self._split} split; raise its '
                     'share in dataset.fractions, or change dataset.held_out.')


class AllTransitions(Transitions):
  """Every transition of a split; drawn by rejection, without a list of them."""

  def __init__(self, near: Grid | Population, *args):
    super().__init__(*args)
    self._near = near
    probes = below(hash64(0, np.arange(_PROBES)), self._images.num_images)
    self._share = max(near.member[probes].mean(), 1e-3)
    self._lists: dict[int | None, tuple[np.ndarray, np.ndarray, Picker]] = {}

  @functools.cached_property
  def members(self) -> np.ndarray:
    """Images of the split: [m] int64."""
    return np.flatnonzero(self._near.member)

  @functools.cached_property
  def counts(self) -> np.ndarray:
    return self._near.counts()

  def pool(self, action: int) -> tuple[np.ndarray, np.ndarray]:
    target, valid = self._near.step(self.members, action, _STREAM_PARTNER)
    return self.members[valid], target[valid]

  def draw(self, numbers, *, seed, targets=1):
    check_targets(targets)
    numbers = np.asarray(numbers, np.int64)
    source, action = self._first(numbers, seed)
    salt = (_STREAM_PARTNER, seed, numbers)
    if targets == 1:
      target, _ = self._near.step(source, action, *salt)
      return source, target[:, None], action[:, None].astype(np.int32)
    every = np.arange(self._num_actions)
    target, valid = self._near.step(
        source[:, None], every, *salt[:-1], numbers[:, None])                # [n, A]
    chosen = further(valid, action, numbers, seed, targets)
    return source, np.take_along_axis(target, chosen, axis=-1), chosen.astype(np.int32)

  def _first(self, numbers, seed) -> tuple[np.ndarray, np.ndarray]:
    """x and action of each example: the first of its candidates that is a transition."""
    source = np.full(numbers.shape, -1, np.int64)
    action = below(hash64(STREAM_ACTION, seed, numbers), self._num_actions)
    pending = np.arange(numbers.size)
    block = int(np.clip(3 / self._share**2, 8, 256))           # most x are found in the first
    edges = [0, block // 4, *range(block, _CANDIDATES + block, block)]       # and early in it
    for start, end in itertools.pairwise(edges):
      if not pending.size:
        return source, action
      words = numbers[pending, None], np.arange(start, end)
      tried = action[pending, None] if self._levelled else below(
          hash64(STREAM_ACTION, seed, *words), self._num_actions)
      candidate = self._candidates(seed, words, tried)
      valid = self._near.step(candidate, tried, 0)[1]               # [pending, end - start]
      found, first = valid.any(-1), valid.argmax(-1)
      done = pending[found]
      source[done] = candidate[found, first[found]]
      action[done] = np.broadcast_to(tried, candidate.shape)[found, first[found]]
      pending = pending[~found]
    # Rare: small grids or splits, steep weights. All sources are listed and one is picked.
    for a in np.unique(action[pending]) if self._levelled else [None] * bool(pending.size):
      mine = pending[action[pending] == a] if self._levelled else pending
      sources, actions, pick = self._listed(a)
      row = pick(hash64(STREAM_SOURCE, seed, numbers[mine], -1))
      source[mine], action[mine] = sources[row], actions[row]
    return source, action

  def _candidates(self, seed, words, action) -> np.ndarray:
    if self._imbalance is None:
      return below(hash64(STREAM_SOURCE, seed, *words), self._images.num_images)
    return self._imbalance.draw(
        STREAM_SOURCE, seed, *words, action=action if self._levelled else None)

  def _listed(self, action: int | None) -> tuple[np.ndarray, np.ndarray, Picker]:
    """Sources of an action, or of each action in turn, with the action of each."""
    if action not in self._lists:
      which = range(self._num_actions) if action is None else [int(action)]
      pools = [self.pool(a)[0] for a in which]
      sources = np.concatenate(pools)
      if not sources.size:
        raise self._none(which[0])
      self._lists[action] = (sources, np.repeat(which, [pool.size for pool in pools]),
                             Picker(sources, self._imbalance))
    return self._lists[action]

  def _has(self, action: int) -> bool:
    probes = below(hash64(1, np.arange(_PROBES)), self._images.num_images)
    return bool(self._near.step(probes, action, 0)[1].any() or self.pool(action)[0].size)


class Picker:
  """Picks positions in a list of sources, equally often or by their weights."""

  def __init__(self, sources: np.ndarray, imbalance: Imbalance | None):
    self._size, self._cumulative = sources.size, None
    if imbalance is not None and sources.size:
      total = np.cumsum(imbalance.of(sources))
      self._cumulative = total / total[-1]

  def __call__(self, bits: np.ndarray) -> np.ndarray:
    """Positions from hashes: [n] uint64 -> [n] int64."""
    if self._cumulative is None:
      return below(bits, self._size)
    return np.searchsorted(self._cumulative, unit(bits), side='right')


def further(valid: np.ndarray, action: np.ndarray, numbers: np.ndarray, seed: int, targets: int
             ) -> np.ndarray:
  """T actions of each source, the drawn one first: [n, T]. valid: [n, A]. action: [n]."""
  every = np.arange(valid.shape[1])
  key = unit(hash64(_STREAM_FURTHER, seed, numbers[:, None], every))
  key = np.where(every == action[:, None], -1., np.where(valid, key, 2.))    # drawn one leads
  order = np.argsort(key, axis=-1, kind='stable')
  position = np.arange(targets) % valid.sum(-1, keepdims=True)               # [n, T]
  return np.take_along_axis(order, position, axis=-1)


def check_targets(targets: int) -> None:
  if targets < 1:
    raise UserError(f'targets is {targets}; it must be at least 1.')


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
