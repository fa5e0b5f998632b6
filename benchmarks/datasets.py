r"""Transitions per second of each dataset into device arrays, beside a plain PyTorch DataLoader.

  pip install torch
  python -m benchmarks.datasets [--datasets dsprites shapes3d] [--sheets=FOLDER] [--repeats=5]

Ours draws, composes and reads every batch anew from the whole training split, on one thread. Both
peers stack single examples in one worker process: `plain` wraps the same prepared data in a
map-style dataset over a list of transitions and composes the two images of each; `ready` does not
compose, it has 10,000 transitions as images in memory. All end in uint8 arrays of JAX. They are
timed in turn, and ratios are taken within each round. Without PyTorch, ours is measured alone.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import time
from typing import Any, Callable, Iterator
import warnings

import jax
import numpy as np

from benchmarks import common
from cvq.data import datasets, pipeline
from cvq.errors import UserError

BATCHES = (64, 1024)
_LISTED = 10_000               # transitions of the peers
_AHEAD = 8                     # batches: more than any of them makes ahead


class Transitions:
  """A map-style dataset in the sense of PyTorch: a list of transitions of the training split.

  Args:
    ready: all images are composed beforehand and lie in memory.
  """

  def __init__(self, dataset: datasets.Dataset, config: Any, *, ready: bool):
    self.images = dataset.images
    self.source, self.target, self.action = pipeline.open_transitions(
        dataset.images, config, 'train').choose(examples=_LISTED, seed=0)
    self.ready = None
    if ready:
      self.ready = self.images.read(self.source), self.images.read(self.target)

  def __len__(self) -> int:
    return len(self.action)

  def __getitem__(self, i: int) -> tuple[np.ndarray, np.ndarray, int]:
    if self.ready:
      return self.ready[0][i], self.ready[1][i], int(self.action[i])
    x, y = self.images.read(np.asarray([self.source[i], self.target[i]]))
    return x, y, int(self.action[i])


def plain_batches(transitions: Transitions, size: int) -> Iterator[Any]:
  """Endless batches of a DataLoader with one worker, as JAX arrays."""
  from torch.utils.data import DataLoader

  warnings.filterwarnings('ignore', message='os.fork', category=RuntimeWarning)
  # The worker touches no JAX, so it may be forked: windows of sprites can't be pickled cheaply.
  loader = DataLoader(transitions, batch_size=size, shuffle=True, drop_last=True, num_workers=1,
                      persistent_workers=True, multiprocessing_context='fork')
  while True:
    for x, y, action in loader:
      yield jax.device_put((x.numpy(), y.numpy(), action.numpy()))


def our_batches(dataset: datasets.Dataset, config: Any, size: int) -> Iterator[Any]:
  """Endless training batches as JAX arrays."""
  iterator = pipeline.train_iterator(
      dataset, config, batch_size=size, targets=1, seed=0, threads=1)
  while True:
    yield jax.device_put(next(iterator))


def rate(batches: Iterator[Any], size: int, seconds: float) -> float:
  """Transitions per second of an iterator over batches of so many of them.

  What it made ahead, while others were timed, is taken first: it does not count.
  """
  for _ in range(_AHEAD):
    jax.block_until_ready(next(batches))
  count, start = 0, time.perf_counter()
  while (elapsed := time.perf_counter() - start) < seconds:
    jax.block_until_ready(next(batches))
    count += size
  return count / elapsed


def measure(name: str, sheets: str, seconds: float, repeats: int) -> None:
  """Prints the rows of a dataset."""
  config = importlib.import_module(f'configs.{name}').get_config().dataset
  if sheets and 'sheets' in config:
    config.sheets = sheets
  start = time.perf_counter()
  try:
    dataset = datasets.load_dataset(config)
  except UserError as error:
    print(f'{name:10} left out: {str(error).splitlines()[0]}')
    return
  opened = time.perf_counter() - start
  sources: dict[str, Callable[[int], Iterator[Any]]] = {
      'ours': lambda size: our_batches(dataset, config, size)}
  if importlib.util.find_spec('torch') is not None:
    for version in ('plain', 'ready'):
      listed = Transitions(dataset, config, ready=version == 'ready')
      sources[version] = lambda size, listed=listed: plain_batches(listed, size)
  for size in BATCHES:
    rates = {version: [] for version in sources}
    running = {version: source(size) for version, source in sources.items()}
    for _ in range(repeats):
      for version, batches in running.items():
        rates[version].append(rate(batches, size, seconds))
    cells = [f'{np.median(rates["ours"]):10,.0f}']
    for peer in list(sources)[1:]:
      ratios = common.spread(np.divide(rates['ours'], rates[peer]), 1)
      cells.append(f'{np.median(rates[peer]):10,.0f}  {ratios}')
    print(f'{name:10} {size:6} {"   ".join(cells)}   {opened:6.2f} {common.peak_gb():6.2f}',
          flush=True)


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
  parser.add_argument('--datasets', nargs='+', default=['dsprites', 'shapes3d', 'sprites'])
  parser.add_argument('--sheets', default='', help='folder of the sheets of sprites')
  parser.add_argument('--seconds', type=float, default=1., help='of one run')
  parser.add_argument('--repeats', type=int, default=5)
  args = parser.parse_args()
  print(common.machine())
  print('dataset     batch   ours t/s   [plain t/s   ratio min / median / max   ready t/s   ratio]'
        '   seconds to open   peak GB')
  for name in args.datasets:
    measure(name, args.sheets, args.seconds, args.repeats)


if __name__ == '__main__':
  common.start(main)
