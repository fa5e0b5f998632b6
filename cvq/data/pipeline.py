"""Batches of transitions: endless for training, through Grain; padded and masked for evaluation."""

from __future__ import annotations

from typing import Any, Iterator

import numpy as np

from cvq.data import transitions
from cvq.data.datasets import Dataset
from cvq.errors import UserError

Batch = dict[str, np.ndarray]
_STEPS = 2**31 - 1                                     # length of the stream: no run reaches it


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
    self._dataset = dataset
    self._batch_size = batch_size
    self._local = process_index * (batch_size // process_count) + np.arange(
        batch_size // process_count)
    self._draw = dict(seed=seed, split=split, targets=targets, split_seed=config.split_seed,
                      fractions=tuple(config.fractions))

  def __len__(self) -> int:
    return _STEPS

  def __getitem__(self, step: int) -> Batch:
    space, images = self._dataset.space, self._dataset.images
    numbers = int(step) * self._batch_size + self._local
    source, target, action = transitions.draw_transitions(space, numbers, **self._draw)
    shape = images.image_shape
    both = images.read(np.concatenate([source, target.reshape(-1)]))
    return {'x': both[:len(source)], 'y': both[len(source):].reshape(*target.shape, *shape),
            'action': action}


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
  _check_transitions(dataset, config, split)
  options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=prefetch)
  iterator = iter(grain.MapDataset.source(source).to_iter_dataset(options))
  if start_step:
    iterator.set_state(iterator.get_state() | {'next_index': start_step})
  return iterator


def evaluation_batches(
    dataset: Dataset, config: Any, *, split: str, examples: int, batch_size: int, seed: int,
) -> Iterator[Batch]:
  """A seeded share of a split's transitions, in a fixed order, the last batch padded and masked.

  Args:
    dataset: from `cvq.data.datasets.load_dataset`. config: its `config.dataset`.
    split: 'train' | 'validation' | 'test'.
    examples: transitions, each at most once, actions levelled; 0: all of the split.
    batch_size: B. seed: of the share.

  Returns:
    Iterator of {'x': uint8 [B, H, W, C], 'y': uint8 [B, 1, H, W, C], 'action': int32 [B, 1],
    'x_factors': int32 [B, F], 'y_factors': int32 [B, F], 'mask': bool [B]}; padding repeats the
    first transition with mask false.

  Raises:
    UserError: a split without transitions, numbers out of range.
  """
  if batch_size < 1:
    raise UserError(f'evaluation.batch_size is {batch_size}; it must be at least 1.')
  source, target, action = transitions.choose_transitions(
      dataset.space, examples=examples, seed=seed, split=split, split_seed=config.split_seed,
      fractions=tuple(config.fractions))

  def batches() -> Iterator[Batch]:
    for start in range(0, len(source), batch_size):
      number = start + np.arange(batch_size)
      mask = number < len(source)
      number = np.where(mask, number, 0)
      x, y = source[number], target[number]
      yield {'x': dataset.images.read(x), 'y': dataset.images.read(y)[:, None],
             'action': action[number, None], 'x_factors': dataset.space.to_factors(x),
             'y_factors': dataset.space.to_factors(y), 'mask': mask}
  return batches()


def _check_transitions(dataset: Dataset, config: Any, split: str) -> None:
  """Raises UserError now rather than at a random later step, if an action has no transition."""
  counts = transitions.count_transitions(
      dataset.space, split=split, split_seed=config.split_seed, fractions=tuple(config.fractions))
  if not counts.all():
    missing = dataset.space.action_names[int(counts.argmin())]
    raise UserError(f'No transition {missing!r} lies inside the {split} split; raise its share '
                    'in dataset.fractions.')
