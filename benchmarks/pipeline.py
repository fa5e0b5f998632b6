"""Transitions per second of the data pipeline, beside a plain loop over single examples.

  python -m benchmarks.pipeline [--data_dir=FOLDER] [--seconds=1] [--repeats=5]

Both give the same kind of batches of rendered dSprites: x with T targets each, levelled actions,
both ends in the training split. The plain loop draws, checks and composes one transition at a
time. The two are timed in turn. Half a minute on two quiet cores.
"""

from __future__ import annotations

import functools
import random
import time
from typing import Callable

from ml_collections import ConfigDict
import numpy as np

from benchmarks import common
from configs import common as configs
from cvq.data import datasets, pipeline
from cvq.data.splits import split_of

SIZES = ((16, 4), (64, 1))                             # x per batch, targets per x


def plain_batch(dataset: datasets.Dataset, config: ConfigDict, size: int, targets: int,
                rng: random.Random) -> pipeline.Batch:
  """One training batch, example by example."""
  space, images = dataset.space, dataset.images

  def inside(index: int) -> bool:
    number = split_of(np.asarray(index), seed=config.split_seed, fractions=config.fractions)
    return int(number) == 0

  def follow(index: int, action: int) -> int | None:
    target, valid = space.step(np.asarray(index), np.asarray(action))
    return int(target) if valid and inside(int(target)) else None

  x, y, actions = [], [], []
  for _ in range(size):
    action = rng.randrange(space.num_actions)
    source = target = None
    while target is None:
      source = rng.randrange(space.num_images)
      target = follow(source, action) if inside(source) else None
    pairs = [(action, target)]
    others = [a for a in range(space.num_actions) if a != action]
    rng.shuffle(others)
    for other in others[:len(others) if targets > 1 else 0]:
      if len(pairs) < targets and (end := follow(source, other)) is not None:
        pairs.append((other, end))
    pairs = [pairs[i % len(pairs)] for i in range(targets)]
    x.append(images.read(np.asarray([source]))[0])
    y.append(np.stack([images.read(np.asarray([end]))[0] for _, end in pairs]))
    actions.append([a for a, _ in pairs])
  return {'x': np.stack(x), 'y': np.stack(y), 'action': np.asarray(actions, np.int32)}


def rate(make_batch: Callable[[], object], transitions: int, seconds: float) -> float:
  """Transitions per second of a function that makes a batch of so many of them."""
  make_batch()
  count, start = 0, time.perf_counter()
  while (elapsed := time.perf_counter() - start) < seconds:
    make_batch()
    count += transitions
  return count / elapsed


def main() -> None:
  parser = common.parser(__doc__, repeats=5)
  parser.add_argument('--data_dir', default='', help='default: $CVQ_DATA_DIR, else ~/.cache/cvq')
  parser.add_argument('--seconds', type=float, default=1., help='of one run')
  args = parser.parse_args()
  config = configs.base().dataset
  config.update(name='dsprites', source='rendered', data_dir=args.data_dir)
  dataset = datasets.load_dataset(config)
  rows = []
  for size, targets in SIZES:
    iterator = pipeline.train_iterator(dataset, config, batch_size=size, targets=targets, seed=0)
    plain = functools.partial(plain_batch, dataset, config, size, targets, random.Random(0))
    rates = np.asarray([
        [rate(make_batch, size * targets, args.seconds)
         for make_batch in (iterator.__next__, plain)] for _ in range(args.repeats)])
    fast, slow = np.median(rates, axis=0)
    rows.append({'x': str(size), 'targets of each': str(targets),
                 'cvq transitions/s': f'{fast:,.0f}',
                 'plain loop transitions/s': f'{slow:,.0f}',
                 'times faster, min / median / max':
                     common.times_faster(1 / rates[:, 0], 1 / rates[:, 1])})
  common.report('pipeline', rows, args.results, note=f'{args.repeats} rounds.')


if __name__ == '__main__':
  common.start(main)
