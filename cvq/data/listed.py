"""Transitions in a list: up to n for each step of each factor."""

from __future__ import annotations

import numpy as np

from cvq.data.hashing import below, hash64
from cvq.data.transitions import (
    STREAM_ACTION, STREAM_SOURCE, AllTransitions, Picker, Transitions, check_targets, further)

_STREAM_PER_STEP = 7


class ListedTransitions(Transitions):
  """Up to n transitions for each step of each factor, both ways, in a list.

  Args:
    every: all transitions of the split.
    quota: n, of this split.
    seed: of the choice.
  """

  def __init__(self, every: AllTransitions, quota: int, seed: int, *args):
    super().__init__(*args)
    space = self._images.space
    rows = []
    for factor in range(space.num_factors):
      source, target = every.pool(factor)
      value = self._images.factors(source)[:, factor]
      rank = hash64(_STREAM_PER_STEP, seed, factor, source)
      order = np.lexsort((rank, value))
      within = np.arange(order.size) - np.searchsorted(value[order], value[order])
      kept = order[within < quota]
      for action, start, end in ((factor, source, target),
                                 (space.num_factors + factor, target, source)):
        rows.append((start[kept], end[kept], np.full(kept.size, action)))
    rows = np.concatenate([np.stack(part) for part in rows], axis=1)
    self._source, self._target, self._action = rows[:, np.argsort(rows[0], kind='stable')]
    self._rows_of = [np.flatnonzero(self._action == a) for a in range(self._num_actions)]
    self._pick = Picker(self._source, self._imbalance)
    self._pick_of = [Picker(self._source[rows], self._imbalance) for rows in self._rows_of]
    self._most = int(np.unique(self._source, return_counts=True)[1].max(initial=0))

  def pool(self, action: int) -> tuple[np.ndarray, np.ndarray]:
    rows = self._rows_of[action]
    return self._source[rows], self._target[rows]

  def draw(self, numbers, *, seed, targets=1):
    check_targets(targets)
    numbers = np.asarray(numbers, np.int64)
    if not self._source.size:
      raise self._none(0)
    bits = hash64(STREAM_SOURCE, seed, numbers)
    if self._levelled:
      action = below(hash64(STREAM_ACTION, seed, numbers), self._num_actions)
      row = np.empty(numbers.shape, np.int64)
      for a in np.unique(action):
        mine = action == a
        row[mine] = self._rows_of[a][self._pick_of[a](bits[mine])]
    else:
      row = self._pick(bits)
    action = self._action[row]
    # The rows of one source stand side by side: [n, most], those of others masked.
    near = np.searchsorted(self._source, self._source[row])[:, None] + np.arange(self._most)
    near = np.minimum(near, self._source.size - 1)
    example, nth = np.nonzero(self._source[near] == self._source[row][:, None])
    found = near[example, nth]
    target = np.zeros((row.size, self._num_actions), np.int64)
    valid = np.zeros(target.shape, bool)
    target[example, self._action[found]] = self._target[found]
    valid[example, self._action[found]] = True
    target[np.arange(row.size), action] = self._target[row]
    chosen = further(valid, action, numbers, seed, targets)
    return (self._source[row], np.take_along_axis(target, chosen, axis=-1),
            chosen.astype(np.int32))
