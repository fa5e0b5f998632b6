"""Batches of transitions: endless for training, through Grain; padded and masked for evaluation."""

from __future__ import annotations

import functools
from typing import Any, Iterator

import numpy as np

from cvq.data.buffers import Buffers
from cvq.data.datasets import Dataset
from cvq.data.images import Images
from cvq.data.imbalance import Imbalance, parse_ratios
from cvq.data.listed import ListedTransitions
from cvq.data.neighbours import neighbours
from cvq.data.splits import members
from cvq.data.transitions import AllTransitions, Transitions
from cvq.errors import UserError

Batch = dict[str, np.ndarray]
_STEPS = 2**31 - 1                                     # length of the stream: no run reaches it
_DRAWN = 4096                                          # x drawn at once
_READ = 256                                            # x read at once


class TrainingBatches:
  """Random-access source whose element i is this process's batch of step i.

  Element i is a pure function of (seed, i, process): {'x': uint8 [b, H, W, C], 'y': uint8
  [b, T, H, W, C], 'action': int32 [b, T]} with b = batch_size / process_count. Example numbers are
  global, so the batch of all processes together does not depend on how many there are.
  """

  def __init__(
      self, dataset: Dataset, config: Any, *, split: str, batch_size: int, targets: int, seed: int,
      process_index: int, process_count: int,
  ):
    if batch_size < 1 or batch_size % process_count:
      raise UserError(f'A batch of {batch_size} cannot be divided among {process_count} '
                      'process(es); choose a positive multiple.')
    self._images = dataset.images
    self._local = process_index * (batch_size // process_count) + np.arange(
        batch_size // process_count)
    transitions = open_transitions(dataset.images, config, split)
    transitions.check()
    local, shape = self._local.size, dataset.images.image_shape
    self._x, self._y = Buffers((local, *shape)), Buffers((local, targets, *shape))
    # Drawing many at once costs little more than drawing one batch.
    self._together = max(1, _DRAWN // self._local.size)

    def draw(block: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
      steps = block * self._together + np.arange(self._together)
      numbers = (steps[:, None] * batch_size + self._local).reshape(-1)
      return transitions.draw(numbers, seed=seed, targets=targets)
    self._draw = functools.lru_cache(maxsize=4)(draw)

  def __len__(self) -> int:
    return _STEPS

  def __getitem__(self, step: int) -> Batch:
    block, place = divmod(int(step), self._together)
    mine = slice(place * self._local.size, (place + 1) * self._local.size)
    source, target, action = (part[mine] for part in self._draw(block))
    x, y = self._x.empty(), self._y.empty()
    # What both ends have in common is still in the CPU's cache.
    for start in range(0, len(source), _READ):
      some = slice(start, start + _READ)
      self._images.read_into(source[some], x[some])
      self._images.read_into(target[some].reshape(-1), y[some].reshape(-1, *x.shape[1:]))
    return {'x': x, 'y': y, 'action': action}


def train_iterator(
    dataset: Dataset, config: Any, *, split: str = 'train', batch_size: int, targets: int,
    seed: int, start_step: int = 0, process_index: int = 0, process_count: int = 1,
    threads: int = 2, prefetch: int = 4,
) -> Any:
  """Endless iterator over training batches, read ahead by threads.

  Args:
    dataset: from `cvq.data.datasets.load_dataset`. config: its `config.dataset`.
    split: 'train' | 'validation' | 'test'.
    batch_size: x of all processes together. targets: T, per x.
    seed: of the draw. start_step: step of the first batch.
    process_index, process_count: of this process. threads, prefetch: batches made ahead.

  Returns:
    A Grain iterator over `TrainingBatches`. Its get_state() is small and fit for JSON; set_state()
    makes the next batch the one that would have come.

  Raises:
    UserError: a split without transitions, a batch that the processes can't share.
  """
  import grain                                         # slow to import; not needed to evaluate

  source = TrainingBatches(
      dataset, config, split=split, batch_size=batch_size, targets=targets, seed=seed,
      process_index=process_index, process_count=process_count)
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
  iterator = iter(grain.MapDataset.source(source).to_iter_dataset(options))
  if start_step:
    iterator.set_state(iterator.get_state() | {'next_index': start_step})
  return iterator


def evaluation_batches(
    dataset: Dataset, config: Any, *, split: str, examples: int, batch_size: int, seed: int,
    imbalanced: bool = False,
) -> Iterator[Batch]:
  """A seeded share of a split's transitions, in a fixed order, the last batch padded and masked.

  Args:
    dataset: from `cvq.data.datasets.load_dataset`. config: its `config.dataset`.
    split: 'train' | 'validation' | 'test'.
    examples: transitions, each at most once, actions levelled; 0: all of the split.
    batch_size: B. seed: of the share.
    imbalanced: the transitions are drawn as in training instead, by `config.imbalance` and
      `config.actions`; they may repeat, and `examples` must be positive.

  Returns:
    Iterator of {'x': uint8 [B, H, W, C], 'y': uint8 [B, 1, H, W, C], 'action': int32 [B, 1],
    'x_index': int64 [B], 'x_factors': int32 [B, F], 'y_factors': int32 [B, F], 'mask': bool [B]};
    padding repeats the first transition with mask false.

  Raises:
    UserError: a split without transitions, numbers out of range.
  """
  if batch_size < 1:
    raise UserError(f'evaluation.batch_size is {batch_size}; it must be at least 1.')
  pairs = open_transitions(dataset.images, config, split, imbalanced=imbalanced)
  if imbalanced:
    source, target, action = pairs.draw(np.arange(examples), seed=seed)
    target, action = target[:, 0], action[:, 0]
  else:
    source, target, action = pairs.choose(examples=examples, seed=seed)
  images = dataset.images

  def batches() -> Iterator[Batch]:
    for start in range(0, len(source), batch_size):
      number = start + np.arange(batch_size)
      mask = number < len(source)
      number = np.where(mask, number, 0)
      x, y = source[number], target[number]
      yield {'x': images.read(x), 'y': images.read(y)[:, None], 'action': action[number, None],
             'x_index': x, 'x_factors': images.factors(x), 'y_factors': images.factors(y),
             'mask': mask}
  return batches()


def open_transitions(images: Images, config: Any, split: str, *, imbalanced: bool = True
                     ) -> Transitions:
  """Transitions of a split as the config asks for them.

  Args:
    images: of the dataset.
    config: `config.dataset`, with splits, split_seed, fractions, held_out, imbalance, actions and
      transitions_per_step, which limits the training split alone.
    split: 'train' | 'validation' | 'test'.
    imbalanced: False: leaves `imbalance` and `actions` out, for balanced draws.

  Raises:
    UserError: an unknown split, factor, value or choice.
  """
  ratios = parse_ratios(config.imbalance, images.space)
  imbalance = Imbalance(images, ratios) if imbalanced and ratios else None
  shared = images, split, imbalance, not imbalanced or config.actions == 'levelled'
  every = AllTransitions(neighbours(images, members(images, config, split)), *shared)
  if not config.transitions_per_step or split != 'train':       # evaluation.examples limits these
    return every
  quota = round(config.transitions_per_step * every.members.size / images.num_images)
  return ListedTransitions(every, quota, config.split_seed, *shared)
