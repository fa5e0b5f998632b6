r"""Transitions per second of the data pipeline, beside a plain loop over single examples.

  python -m benchmarks.pipeline [--data_dir=FOLDER] [--seconds=1] [--repeats=5]

Both give the same kind of batches of rendered dSprites: x with T targets each, levelled actions,
both ends in the training split. The plain loop draws, checks and composes one transition at a
time. The two are timed in turn, and the ratio is taken within each pair of runs.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import random
import time
from typing import Callable

from ml_collections import ConfigDict
import numpy as np

from configs import common
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
  parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
  parser.add_argument('--data_dir', default='', help='default: $CVQ_DATA_DIR, else ~/.cache/cvq')
  parser.add_argument('--seconds', type=float, default=1., help='of one run')
  parser.add_argument('--repeats', type=int, default=5)
  args = parser.parse_args()
  config = common.base().dataset
  config.update(name='dsprites', source='rendered', data_dir=args.data_dir)
  start = time.perf_counter()
  dataset = datasets.load_dataset(config)
  print(f'{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, '
        f'NumPy {np.__version__}; dataset opened in {time.perf_counter() - start:.2f} s')
  print(f'{"x":>4} {"targets":>8} {"pipeline":>14} {"plain loop":>14}   ratio min / median / max')
  for size, targets in SIZES:
    iterator = pipeline.train_iterator(dataset, config, batch_size=size, targets=targets, seed=0)
    plain = functools.partial(plain_batch, dataset, config, size, targets, random.Random(0))
    rates = np.asarray([
        [rate(make_batch, size * targets, args.seconds)
         for make_batch in (iterator.__next__, plain)] for _ in range(args.repeats)])
    ratios = np.quantile(rates[:, 0] / rates[:, 1], (0, .5, 1))
    fast, slow = np.median(rates, axis=0)
    print(f'{size:4} {targets:8} {fast:10,.0f} t/s {slow:10,.0f} t/s   '
          + ' / '.join(f'{ratio:.1f}' for ratio in ratios))


if __name__ == '__main__':
  main()
